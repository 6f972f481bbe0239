// Dead letters as a problem: kinds that are more than usual, and bounds that are near. A rule that
// needs a history is silent until there is one.

import { count, share, span, times, word } from "./format.js";
import { most } from "./status.js";

const MINUTE = 60_000;

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
      : fromLast(letters, kind, status.now_ms);
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

/** None where fewer are shown than there are: then they tell nothing about a minute. */
function fromLast(letters, kind, now) {
  const { last } = letters;
  if (last.length < Math.min(50, letters.records ?? last.length)) return null;
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

/** Says that a kind of dead letters came more often than usual. */
export function spike(kind, status, say) {
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
    { type: `pawl dlq stats -p ${word(status.file)} --kind=${word(kind.kind)} --window=5m`, at: "dead",
      book: "PawlDeadLettersSpike" });
}

/** So many seconds before a task would stop it is told. */
const HEADROOM = 3600;

/** Says that the dead letters are near a bound at which tasks stop. */
export function letterBounds(status, say) {
  // Where the oldest go, full is as it should be.
  if (status.dead_letters.at_max === "drop-oldest") return;
  const { records, records_max: recordsMax, bytes: size, bytes_max: bytesMax } = status.dead_letters;
  const used = most([recordsMax > 0 ? records / recordsMax : null, bytesMax > 0 ? size / bytesMax : null]);
  const left = status.dead_letters.headroom_seconds;
  if (Number.isFinite(left) && left < HEADROOM && !(used >= 1)) {
    const bad = left === 0;
    say(bad ? "bad" : "warn", bad ? 83 : 56,
      bad ? "The oldest dead letter is older than its bound" : `The oldest dead letter is at its bound in ${span(left)}`,
      `${bad ? "The" : "From then on the"} first task that has to write another one stops (age_max_ms).`,
      { type: "pawl explain dead-letters-full", at: "dead", book: "PawlDeadLettersNearBound" });
  }
  if (used === null || used < 0.8) return;
  const full = used >= 1;
  say(full ? "bad" : "warn", full ? 88 : 56,
    full ? "The dead-letter topic is full" : `The dead-letter topic is ${share(used)} full`,
    "When it is full, tasks stop rather than lose a record.",
    { type: "pawl explain dead-letters-full", at: "dead", book: "PawlDeadLettersNearBound" });
}
