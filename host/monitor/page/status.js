// The document of `GET /api/status`, made whole: a part that is missing is empty or null, so that
// an older or newer host shows what it has instead of nothing. Must never turn unknown into 0.

const list = (value) => (Array.isArray(value) ? value : []);
const object = (value) => (value !== null && typeof value === "object" ? value : {});

/** From what the host sent; throws if it is no status at all. */
export function normalise(sent) {
  if (!Number.isFinite(object(sent).now_ms) || !Array.isArray(sent.stages)) {
    throw new Error("the answer is no status of Pawl");
  }
  return {
    ...sent,
    pipeline: String(sent.pipeline ?? ""),
    file: sent.file ?? `${sent.pipeline}.toml`,
    sources: list(sent.sources).map(told),
    topics: list(sent.topics).map((one) => ({ ...one, partitions: list(one.partitions) })),
    stages: sent.stages.map(stage),
    edges: list(sent.edges),
    dead_letters: {
      ...object(sent.dead_letters),
      by_kind: list(object(sent.dead_letters).by_kind),
      last: list(object(sent.dead_letters).last),
    },
  };
}

function stage(one) {
  return {
    ...one,
    outputs: list(one.outputs),
    operators: list(one.operators),
    tasks: list(one.tasks).map((task) => ({
      ...told(task),
      records: object(task.records),
      credit: object(task.credit),
      guest: object(task.guest),
      checkpoint: task.checkpoint ?? null,
      checkpoint_failure: reason(task.checkpoint_failure),
      delivery: object(task.delivery),
      held_by: task.held_by ?? null,
    })),
  };
}

/**
 * A task or source with its state in one word more than the host has: one that recovers after a
 * failure is `failing`, one that stopped for no reason has `ended`.
 */
function told(one) {
  const why = reason(one.reason);
  let state = String(one.state ?? "starting");
  if (state === "recovering" && why !== null) state = "failing";
  if (state === "stopped" && why === null) state = "ended";
  return { ...one, state, reason: why };
}

/** A reason is told with a code or as a sentence. */
function reason(told) {
  if (told === null || told === undefined) return null;
  if (typeof told === "string") return { code: null, message: told };
  return { code: told.code ?? null, message: told.message ?? "" };
}

/** States from worst to best; `waiting` is at the end of its input, and well. */
export const STATES = ["stopped", "failing", "recovering", "starting", "ended", "running", "waiting"];

/** Whether a state is as it should be. */
export const isWell = (state) => ["running", "waiting", "ended"].includes(state);

/** How many are in which state, worst first: `1 stopped, 3 running`. */
export function said(tasks) {
  const parts = STATES.map((state) => [tasks.filter((task) => task.state === state).length, state]);
  return parts.filter(([some]) => some > 0).map(([some, state]) => `${some} ${state}`).join(", ") || "starting";
}

/** The worst state among tasks, and how many of them are in it. */
export function worst(tasks) {
  for (const state of STATES) {
    const count = tasks.filter((task) => task.state === state).length;
    if (count > 0) return { state, count };
  }
  return { state: "starting", count: 0 };
}

/** Adds up; null if any part is unknown. */
export function sum(parts) {
  let total = 0;
  for (const part of parts) {
    if (!Number.isFinite(part)) return null;
    total += part;
  }
  return total;
}

/** The largest of those that are known; null if none is. */
export function most(parts) {
  const known = parts.filter((part) => Number.isFinite(part));
  return known.length > 0 ? Math.max(...known) : null;
}
