// What is wrong, in plain words, worst first. Each rule says when it speaks; a rule that needs a
// history is silent until there is one. It must never say that all is well without having looked.

import { bytes, moment, rate, several, share, span, word } from "./format.js";
import { letterBounds, spike } from "./refused.js";
import { isWell, most, said } from "./status.js";

const MINUTE = 60_000;

/** Everything that is wrong: `{rank, level, what, why, type, book, at}`, worst first; `book` is a runbook. */
export function problems(status, history, byKind, staleSeconds = 0) {
  const found = [];
  const say = (level, rank, what, why, more = {}) => found.push({ level, rank, what, why, ...more });
  hostState(status, staleSeconds, say);
  hostRoom(status, say);
  for (const source of status.sources) sourceState(source, status, say);
  for (const topic of status.topics) silentTopic(topic, status, say);
  for (const stage of status.stages) {
    stopped(stage, say);
    unsettled(stage, status, say);
    if (stage.sink) receiver(stage, status, history, say);
    lag(stage, history, say);
    withheld(stage, history, say);
    checkpoints(stage, status, history, say);
    restarts(stage, history, say);
    time(stage, status, history, say);
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

/** Fewer free bytes than that are worth a look, and very few are urgent. */
const FREE_LOW = 1e9;
const FREE_URGENT = 2e8;

function hostRoom(status, say) {
  const ends = status.unclean_ends;
  if (ends >= 2) {
    // One that has run for a minute may have a fault of its own to tell of.
    const runs = status.now_ms - status.started_ms;
    const bad = ends >= 3 && runs < 60_000;
    const since = runs < 60_000 ? "" : ` It has run for ${span(runs / 1000)} since.`;
    say(bad ? "bad" : "warn", bad ? 84 : 52, `The host has died ${ends} times in a row`,
      "It starts, dies without a word, and is started again. Nothing is lost; the log before each "
      + "start says what happened, or the system's own log: out of memory, a kill." + since,
      { book: "PawlProcessRestarts" });
  }
  const free = status.data_free_bytes;
  if (Number.isFinite(free) && free < FREE_LOW) {
    const bad = free < FREE_URGENT;
    say(bad ? "bad" : "warn", bad ? 87 : 63, `The disk of the data folder has ${bytes(free)} left`,
      `The log takes ${bytes(status.log_bytes)}. On a full disk the host ends, and loses nothing.`,
      { type: "pawl explain disk-full", book: "PawlDiskFilling" });
  }
}

const some = (list, states) => list.some((one) => states.includes(one.state));

/** Silence of so many seconds is told. Whether it is unusual only the alert rules can tell. */
const SILENT = 300;

function silent(who, lastMs, status, say) {
  const up = (status.now_ms - status.started_ms) / 1000;
  const seconds = (status.now_ms - lastMs) / 1000;
  if (Number.isFinite(lastMs) && lastMs !== null && seconds >= SILENT) {
    say("note", 22, `No record for ${span(seconds)} from ${who}`,
      `The last one came ${moment(lastMs)}.`, { book: "PawlInputDry" });
  } else if (lastMs === null && up >= SILENT) {
    say("note", 21, `No record yet from ${who}`, `The host has run for ${span(up)}.`,
      { book: "PawlInputDry" });
  }
}

/** A topic that neither a stage nor a source writes. */
function silentTopic(topic, status, say) {
  const read = status.stages.some((stage) => stage.input === topic.name);
  const made = status.stages.some((stage) => stage.outputs.includes(topic.name))
    || status.sources.some((source) => source.topic === topic.name);
  if (!read || made || topic.last_record_ms === undefined) return;
  silent(`those who write ${topic.name}`, topic.last_record_ms, status, say);
}

function sourceState(source, status, say) {
  if (source.goes_on === true && ["running", "waiting"].includes(source.state)) {
    silent(`the source ${source.name}`, source.last_record_ms ?? null, status, say);
  }
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

const waiting = (stage) =>
  most([stage.tasks.reduce((sum, task) => sum + (task.lag_records ?? NaN), 0)]);

/** A receiver that answers at once the next time is no news. */
const FAILS_SECONDS = 3;

/** Tasks of a sink whose receiver does not take what it is given. */
const failing = (stage) => stage.tasks.filter(
  (task) => isWell(task.state) && Number.isFinite(task.delivery.failing_since_ms),
);

/** Whether the receiver of a sink is at work nearly all the time while records wait. */
function isBusy(stage, history) {
  const shares = stage.tasks.filter((task) => task.lag_records > 0).map((task) => {
    const grown = history.growth(`task:${stage.name}/${task.partition}:delivering`, 30_000);
    return grown && grown.ms >= 5_000 ? grown.by / (grown.ms / 1000) : null;
  });
  const busy = most(shares);
  return busy !== null && busy >= 0.8 ? Math.min(1, busy) : null;
}

function receiver(stage, status, history, say) {
  const at = `stage-${stage.name}`;
  const waits = waiting(stage);
  const records = several(waits, "record");
  const fails = failing(stage);
  const longest = most(fails.map((task) => (status.now_ms - task.delivery.failing_since_ms) / 1000));
  if (longest !== null && longest >= FAILS_SECONDS) {
    const bad = longest >= 60;
    const { reason } = fails.find(
      (task) => (status.now_ms - task.delivery.failing_since_ms) / 1000 === longest,
    );
    say(bad ? "bad" : "warn", bad ? 81 : 59, codeOf(`The receiver of ${stage.name} fails`, reason),
      reason?.message ?? "", {
        also: `For ${span(longest)}; ${records} wait. Nothing is lost: it is tried again, in order.`,
        at, book: "PawlSinkFailing",
      });
    return;
  }
  const busy = fails.length === 0 ? isBusy(stage, history) : null;
  if (busy === null) return;
  const into = history.rate(`stage:${stage.name}:in`, MINUTE);
  const left = into > 0 ? waits / into : Infinity;
  if (left <= 30) return;
  const pace = into > 0 ? `It takes ${rate(into)}; that is done in about ${span(left)}`
    : "It has taken none in the last minute, or is at the first of many";
  say("warn", 55, `The receiver of ${stage.name} is slow`,
    `It is at work ${share(busy)} of the time, and ${records} wait. ${pace}.`,
    { at, book: "PawlSinkSlow" });
}

function lag(stage, history, say) {
  const waits = waiting(stage);
  if (waits === null || waits < (stage.sink ? 1 : 500)) return;
  // Where the receiver fails or is slow, that is what is wrong.
  if (stage.sink && (failing(stage).length > 0 || isBusy(stage, history) !== null)) return;
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
  if (stage.sink && failing(stage).length > 0) return;
  const shares = stage.tasks.map((task) => {
    const grown = history.growth(`task:${stage.name}/${task.partition}:withheld`, 30_000);
    return grown && grown.ms >= 5_000 ? grown.by / (grown.ms / 1000) : null;
  });
  const worstShare = most(shares);
  const waits = stage.tasks.some((task) => task.lag_records > 0);
  // A stage at full speed also waits for its commits; that alone is no trouble.
  if (worstShare === null || !waits || worstShare < 0.9) return;
  say("warn", 55, `${stage.name} is held back`, `Its input waited for credit ${share(Math.min(1, worstShare))} of the time.`,
    { at: `stage-${stage.name}`, book: "PawlCreditWithheld" });
}

function checkpoints(stage, status, history, say) {
  const failed = stage.tasks.filter((task) => task.checkpoint_failure !== null && isWell(task.state));
  if (failed.length > 0) {
    const reason = failed[0].checkpoint_failure;
    say("warn", 61, codeOf(`${those(stage, failed)} could not take a checkpoint`, reason), reason.message,
      { type: explain(reason), at: `stage-${stage.name}`, book: "PawlCheckpointOld" });
  }
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

/** Fewer records may leave event time open: it begins when several agree. */
const TIMELESS_MAX = 20;

/** Whose time a task waits for, in words; nothing if nobody's. */
function heldBy(task, status) {
  if (task.held_by === null) return "";
  const [name, partition] = task.held_by.split("/");
  const stage = status.stages.find((one) => one.name === name);
  const holder = stage?.tasks.find((one) => String(one.partition) === partition);
  const why = holder?.records.in === 0
    ? ", which has had no record yet and holds time back until it counts as idle (idle_after_ms)" : "";
  return ` It waits for the time of ${task.held_by}${why}.`;
}

function timeless(stage, status, say) {
  const up = (status.now_ms - status.started_ms) / 1000;
  const none = stage.tasks.filter((task) => isWell(task.state)
    && !Number.isFinite(task.watermark_ms) && task.records.in > TIMELESS_MAX);
  if (!stage.time || none.length === 0 || up < 20) return;
  const records = several(none.reduce((sum, task) => sum + task.records.in, 0), "record");
  say("warn", 53, `${those(stage, none)} ${verb(stage, none, "has", "have")} no event time yet`,
    `${records} came in, and no window closes.${heldBy(none[0], status)}`,
    { at: `stage-${stage.name}`, book: "PawlWatermarkStuck" });
}

function time(stage, status, history, say) {
  timeless(stage, status, say);
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
      `Records come in, but its watermark has not moved for a minute; no window closes.${heldBy(stands[0], status)}`,
      { at: `stage-${stage.name}`, book: "PawlWatermarkStuck" });
  }
}
