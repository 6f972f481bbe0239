// What is wrong, in plain words, worst first. Each rule says when it speaks; a rule that needs a
// history is silent until there is one. It must never say that all is well without having looked.

import { count, rate, several, share, span, times, word } from "./format.js";
import { isWell, most, said } from "./status.js";

const MINUTE = 60_000;

/** Everything that is wrong: `{rank, level, what, why, type, book, at}`, worst first; `book` is a runbook. */
export function problems(status, history, byKind, staleSeconds = 0) {
  const found = [];
  const say = (level, rank, what, why, more = {}) => found.push({ level, rank, what, why, ...more });
  hostState(status, staleSeconds, say);
  for (const source of status.sources) sourceState(source, say);
  for (const stage of status.stages) {
    stopped(stage, say);
    unsettled(stage, status, say);
    lag(stage, history, say);
    withheld(stage, history, say);
    checkpoints(stage, status, history, say);
    restarts(stage, history, say);
    time(stage, history, say);
  }
  for (const kind of byKind) spike(kind, status, say);
  letterBounds(status, say);
  return found.sort((one, two) => two.rank - one.rank);
}

/** A host that answers, but with a view of its tasks that is older than that, is stuck. */
const STALE_SECONDS = 15;

function hostState(status, staleSeconds, say) {
  const up = (status.now_ms - status.started_ms) / 1000 + staleSeconds;
  if (staleSeconds > STALE_SECONDS && status.state !== "starting") {
    say("bad", 95, `The host has not looked at its tasks for ${span(Math.floor(staleSeconds))}`,
      "It answers, but what stands here is old.", { book: "PawlDown" });
  }
  const tasks = status.stages.flatMap((stage) => stage.tasks);
  if (status.state === "starting") {
    const level = up > 60 ? "warn" : "note";
    const why = `Tasks: ${said(tasks)}.`;
    say(level, level === "warn" ? 70 : 20, `The host has been starting for ${span(up)}`, why);
  } else if (status.state === "draining") {
    say("note", 30, "The host drains", "It finishes what is in flight, takes in nothing new, and ends.");
  } else if (status.state === "stopped") {
    say("bad", 100, "The pipeline has stopped", "No task runs any more.");
  } else if (status.ready === false && !some(tasks, ["stopped", "failing"]) && !some(status.sources, ["stopped", "failing"])) {
    const level = up > 60 ? "warn" : "note";
    const why = `Tasks: ${said(tasks)}.`;
    say(level, level === "warn" ? 65 : 20, "The host is not ready", why, { book: "PawlTaskNotRunning" });
  }
}

const some = (list, states) => list.some((one) => states.includes(one.state));

function sourceState(source, say) {
  if (source.reason === null) return;
  const bad = source.state === "stopped";
  const does = bad ? "has stopped" : source.state === "failing" ? "failed and will be tried again" : "has trouble";
  const what = `The source ${source.name} ${does}`;
  say(bad ? "bad" : "warn", bad ? 85 : 50, codeOf(what, source.reason), source.reason.message, {
    type: explain(source.reason), book: bad ? "PawlSourceStopped" : null,
  });
}

const codeOf = (what, reason) => (reason?.code ? `${what}: ${reason.code}` : what);
const explain = (reason) => (reason?.code ? `pawl explain ${word(reason.code)}` : null);

/** Tasks of a stage that stopped for the same reason are one problem. */
function stopped(stage, say) {
  const groups = new Map();
  for (const task of stage.tasks.filter((one) => one.state === "stopped")) {
    const code = task.reason?.code ?? "";
    groups.set(code, [...(groups.get(code) ?? []), task]);
  }
  for (const tasks of groups.values()) {
    const who = those(stage, tasks);
    const waiting = stage.tasks.length > tasks.length ? "The other partitions go on." : "";
    const message = tasks[0].reason?.message ?? "It gave no reason.";
    const what = codeOf(`${who} ${verb(stage, tasks, "has", "have")} stopped`, tasks[0].reason);
    say("bad", 90 + tasks.length / 1000, what, message, {
      type: explain(tasks[0].reason),
      also: `Nothing is lost: the input waits. ${waiting}`.trim(),
      book: "PawlTaskStopped",
      at: `stage-${stage.name}`,
    });
  }
}

/** The name of tasks: the stage if all of it is meant, else with the partition. */
function those(stage, tasks) {
  if (stage.tasks.length === tasks.length) return stage.name;
  if (tasks.length === 1) return `${stage.name}/${tasks[0].partition}`;
  return `${tasks.length} of ${several(stage.tasks.length, "task")} of ${stage.name}`;
}

/** The verb that goes with that name. */
const verb = (stage, tasks, one, many) =>
  tasks.length === 1 || tasks.length === stage.tasks.length ? one : many;

function unsettled(stage, status, say) {
  const failing = stage.tasks.filter((task) => task.state === "failing");
  if (failing.length > 0) {
    const reason = failing[0].reason;
    say("warn", 60, codeOf(`${those(stage, failing)} failed and will be tried again`, reason),
      reason.message, { type: explain(reason), book: "PawlTaskRestarts", at: `stage-${stage.name}` });
  }
  const recovering = stage.tasks.filter((task) => task.state === "recovering");
  if (recovering.length > 0 && status.state !== "starting") {
    const why = "The state is restored and what came since is replayed; nothing is sent twice.";
    const recovers = verb(stage, recovering, "recovers", "recover");
    say("note", 25, `${those(stage, recovering)} ${recovers}`, why, { at: `stage-${stage.name}` });
  }
}

function lag(stage, history, say) {
  const waits = most([stage.tasks.reduce((sum, task) => sum + (task.lag_records ?? NaN), 0)]);
  if (waits === null || waits < 500) return;
  // Where a task does not run, that is what is wrong; its input waits because of it.
  if (!stage.tasks.every((task) => isWell(task.state))) return;
  const rise = history.rise(`stage:${stage.name}:lag`, MINUTE);
  const into = history.rate(`stage:${stage.name}:in`, MINUTE);
  const at = `stage-${stage.name}`;
  if (rise === null || into === null || rise.ms < 10_000) return;
  const grows = rise.by / (rise.ms / 1000);
  const left = into > 0 ? waits / into : Infinity;
  const records = several(waits, "record");
  if (into === 0) {
    say("bad", 80, `${stage.name} stands still`,
      `${records} wait, and none has been taken for ${span(rise.ms / 1000)}.`, { at, book: "PawlNoProgress" });
  } else if (grows > 0.01 * into && left > 5) {
    const level = left > 300 ? "bad" : "warn";
    say(level, level === "bad" ? 78 : 58, `${stage.name} falls behind`,
      `${records} wait, ${rate(grows)} more than it can take at ${rate(into)}.`, { at, book: "PawlLagGrowing" });
  } else if (grows < 0 && left > 5) {
    say("note", 15, `${stage.name} catches up`,
      `${records} wait, done in about ${span(waits / -grows)}.`, { at });
  }
}

function withheld(stage, history, say) {
  const shares = stage.tasks.map((task) => {
    const grown = history.growth(`task:${stage.name}/${task.partition}:withheld`, 30_000);
    return grown && grown.ms >= 5_000 ? grown.by / (grown.ms / 1000) : null;
  });
  const worstShare = most(shares);
  const waits = stage.tasks.some((task) => task.lag_records > 0);
  // A stage at full speed also waits for its commits; that alone is no trouble.
  if (worstShare === null || !waits || worstShare < (stage.sink ? 0.5 : 0.9)) return;
  const who = stage.sink ? `The receiver of ${stage.name} is slow` : `${stage.name} is held back`;
  say("warn", 55, who, `Its input waited for credit ${share(Math.min(1, worstShare))} of the time.`,
    { at: `stage-${stage.name}`, book: "PawlCreditWithheld" });
}

function checkpoints(stage, status, history, say) {
  const goesOn = (task) =>
    (history.growth(`task:${stage.name}/${task.partition}:in`, MINUTE)?.by ?? 0) > 0;
  const old = stage.tasks.filter((task) => (task.checkpoint?.age_seconds ?? 0) > 300 && goesOn(task));
  if (old.length > 0) {
    const age = most(old.map((task) => task.checkpoint.age_seconds));
    say(age > 900 ? "bad" : "warn", age > 900 ? 75 : 52,
      `The last checkpoint of ${those(stage, old)} is ${span(age)} old`,
      "Records go on, but a restart has to replay all of them since.",
      { at: `stage-${stage.name}`, book: "PawlCheckpointOld" });
  }
  const up = status.now_ms - status.started_ms;
  const none = stage.tasks.filter(
    (task) => task.checkpoint === null && isWell(task.state) && goesOn(task),
  );
  if (none.length > 0 && up > 2 * MINUTE) {
    say("warn", 51, `${those(stage, none)} ${verb(stage, none, "has", "have")} no checkpoint yet`,
      `The host has run for ${span(up / 1000)}.`, { at: `stage-${stage.name}` });
  }
}

function restarts(stage, history, say) {
  const grown = (task, what) =>
    history.growth(`task:${stage.name}/${task.partition}:${what}`, 5 * MINUTE)?.by ?? 0;
  const all = (what) => stage.tasks.reduce((sum, task) => sum + grown(task, what), 0);
  const again = stage.tasks.filter((task) => grown(task, "restarts") > 0 && isWell(task.state));
  const at = `stage-${stage.name}`;
  if (again.length > 0) {
    say("warn", 50, `${those(stage, again)} failed and ${verb(stage, again, "was", "were")} started again`,
      `${several(all("restarts"), "time")} in the last five minutes.`, { at, book: "PawlTaskRestarts" });
  } else if (all("traps") >= 20) {
    say("warn", 49, `Operators of ${stage.name} fail often`,
      `${several(all("traps"), "call")} in the last five minutes; each costs a restore and a replay.`,
      { at, book: "PawlGuestFailures" });
  }
}

function time(stage, history, say) {
  const late = history.growth(`stage:${stage.name}:late`, MINUTE);
  const into = history.growth(`stage:${stage.name}:in`, MINUTE);
  if (late && into && late.by >= 20 && late.by > 0.05 * into.by) {
    say("warn", 54, `${share(late.by / into.by)} of the records of ${stage.name} come late`,
      "A sensor's clock may be wrong, or old data is sent again.", { at: `stage-${stage.name}` });
  }
  if (!stage.time) return;
  const stands = stage.tasks.filter((task) => {
    const name = `task:${stage.name}/${task.partition}`;
    const rise = history.rise(`${name}:watermark`, MINUTE);
    const grown = history.growth(`${name}:in`, MINUTE);
    return rise && grown && rise.ms > 45_000 && rise.by === 0 && grown.by > 100;
  });
  if (stands.length > 0) {
    say("warn", 53, `Event time of ${those(stage, stands)} stands still`,
      "Records come in, but its watermark has not moved for a minute; no window closes.",
      { at: `stage-${stage.name}`, book: "PawlWatermarkStuck" });
  }
}

/**
 * Dead letters by kind: how many in the last minute, and how many times as many as usual. Usual is
 * the share of all the stage's records that became this kind before the last minute. A page that was
 * opened just now goes by the times of the last ones.
 */
export function kinds(status, history) {
  const letters = status.dead_letters;
  return letters.by_kind.map((kind) => {
    const name = `kind:${kind.stage}|${kind.operator}|${kind.kind}`;
    const input = inputOf(status, kind.stage);
    const recent = history.watched(name) >= 15_000
      ? history.growth(name, MINUTE)
      : fromLast(letters.last, kind, status.now_ms);
    const into = input && history.rate(input.name, MINUTE);
    const now = recent && recent.by / (recent.ms / MINUTE);
    const earlier = input && recent && Number.isFinite(input.total)
      ? { dead: kind.count - recent.by, all: input.total - (into ?? 0) * (recent.ms / 1000) }
      : null;
    let usual = null;
    if (into > 0 && earlier && earlier.all >= 1000) {
      usual = (Math.max(0, earlier.dead) / earlier.all) * into * 60;
    }
    const above = usual !== null && now !== null ? (usual > 0 ? now / usual : now > 0 ? Infinity : 0) : null;
    const part = into > 0 && now !== null ? now / 60 / into : null;
    return { ...kind, name, now, usual, above, share: part, level: levelOf(now, above, part) };
  }).sort((one, two) => (two.now ?? 0) - (one.now ?? 0) || two.count - one.count);
}

function inputOf(status, name) {
  const stage = status.stages.find((one) => one.name === name);
  if (stage) {
    const known = stage.tasks.map((task) => task.records.in).filter(Number.isFinite);
    return { name: `stage:${name}:in`, total: known.reduce((sum, one) => sum + one, 0) };
  }
  const source = status.sources.find((one) => one.name === name || `source.${one.name}` === name);
  return source ? { name: `source:${source.name}:records`, total: source.records } : null;
}

function fromLast(last, kind, now) {
  const same = last.filter((letter) => letter.kind === kind.kind && letter.stage === kind.stage
    && letter.operator === kind.operator && now - letter.time_ms < MINUTE);
  const full = last.length >= 50;
  const ms = full ? Math.max(1000, now - last.at(-1).time_ms) : MINUTE;
  return { by: same.length, ms: Math.min(ms, MINUTE) };
}

/**
 * Whether that is too many: few are never, else four times the usual is worth a look. What never
 * was before is infinitely above the usual: that alone is a note.
 */
function levelOf(now, above, part) {
  if (now === null || now < 10) return null;
  if (above === Infinity) return part > 0.2 ? "bad" : part > 0.01 ? "warn" : "note";
  const many = above !== null ? above >= 4 : part > 0.05;
  if (!many) return null;
  return above >= 10 || part > 0.2 ? "bad" : "warn";
}

function spike(kind, status, say) {
  if (kind.level === null) return;
  const rank = { bad: 82, warn: 57, note: 24 }[kind.level];
  const who = kind.operator || kind.stage;
  const what = kind.above === Infinity
    ? `${who} refuses records for a new reason: ${kind.kind}`
    : kind.above !== null
      ? `${who} refuses ${times(kind.above)} as many records as usual: ${kind.kind}`
      : `${who} refuses ${share(kind.share)} of its records: ${kind.kind}`;
  const usual = kind.usual > 0 ? `, where ${kind.usual < 1 ? "less than one" : count(Math.round(kind.usual))} would be usual` : "";
  const of = kind.share !== null ? ` (${share(kind.share)} of its input)` : "";
  say(kind.level, rank + Math.min(1, kind.now / 1e6),
    what, `${count(Math.round(kind.now))} in a minute${of}${usual}.`,
    { type: `pawl dlq stats -p ${word(status.file)} --kind=${word(kind.kind)}`, at: "dead",
      book: "PawlDeadLettersSpike" });
}

function letterBounds(status, say) {
  const { records, records_max: recordsMax, bytes, bytes_max: bytesMax } = status.dead_letters;
  const used = most([recordsMax > 0 ? records / recordsMax : null, bytesMax > 0 ? bytes / bytesMax : null]);
  if (used === null || used < 0.8) return;
  const full = used >= 1;
  say(full ? "bad" : "warn", full ? 88 : 56,
    full ? "The dead-letter topic is full" : `The dead-letter topic is ${share(used)} full`,
    "When it is full, tasks stop rather than lose a record, unless the pipeline file says otherwise.",
    { type: "pawl explain dead-letters-full", at: "dead", book: "PawlDeadLettersNearBound" });
}
