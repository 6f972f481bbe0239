// Stages and tasks as tables. On a narrow screen each row becomes a block of words and numbers: for
// that every cell says in `data-label` what it is.

import { h } from "./dom.js";
import { bytes, count, line, rate, share, span, visible } from "./format.js";
import { spark, stateSign } from "./signs.js";
import { STATES, isWell, most, said, sum, worst } from "./status.js";

/** So many running tasks of a stage are shown without being asked for, and in how little room none. */
const SHOWN_MAX = 8;
const NARROW = 600;

const cell = (label, attributes, ...children) =>
  h("td", { role: "cell", "data-label": label, ...attributes }, ...children);
const number = (label, text, tone = "") => cell(label, { class: `number ${tone}` }, text);
const head = (label, title, name = "") => h("th", { role: "columnheader", scope: "col", class: name, title }, label);

/** One row for each stage. */
export function stages(status, history, spiking) {
  const rows = status.stages.map((stage) => {
    const { tasks } = stage;
    const name = `stage:${stage.name}`;
    const per = (what) => history.rate(`${name}:${what}`);
    const total = (what) => sum(tasks.map((task) => task.records[what]));
    const { state } = worst(tasks);
    const lag = sum(tasks.map((task) => task.lag_records));
    const checkpoints = tasks.map((task) => task.checkpoint).filter(Boolean);
    const chain = stage.operators.map((one) => one.name);
    return h("tr", { role: "row", key: stage.name, id: `stage-${stage.name}`, class: `state-${state}`, tabindex: -1 },
      h("th", { role: "rowheader", scope: "row", "data-label": "stage" },
        h("span", { class: "named" }, stateSign(state), h("b", null, stage.name)),
        h("small", { title: stage.operators.map((one) => `${one.name} = ${one.plugin} ${one.version}`).join("\n") },
          stage.sink ? `sink · ${stage.sink}` : chain.join(" → "))),
      cell("tasks", { class: "said" }, said(tasks)),
      cell("in", { class: "number sparked" }, spark(history.rates(`${name}:in`), { what: `${stage.name}, records in` }),
        h("span", { title: `${count(total("in"))} in all` }, rate(per("in")))),
      cell("out", { class: "number", title: `${count(total("out"))} in all` }, rate(per("out"))),
      number("waits", count(lag), lag > 0 ? "strong" : ""),
      number("late", count(total("late"))),
      number("duplicate", count(total("duplicate"))),
      number("dead", count(total("dead")), spiking.has(stage.name) ? "bad" : ""),
      cell("watermark", { class: "number" }, watermark(stage)),
      number("behind", stage.time ? span(most(tasks.map((task) => task.watermark_lag_seconds))) : "–"),
      cell("checkpoint", { class: "number" },
        checkpoints.length > 0 ? `${span(most(checkpoints.map((one) => Math.floor(one.age_seconds))))} ago` : "none yet"),
      number("size", checkpoints.length > 0 ? bytes(sum(checkpoints.map((one) => one.bytes))) : "–"));
  });
  return h("table", { role: "table" },
    h("caption", { class: "hidden" }, "Stages: rates of the last five seconds, counts since birth"),
    h("thead", { role: "rowgroup" }, h("tr", { role: "row" },
      head("stage"), head("tasks"), head("in", "Records taken in, a second; the line is the last five minutes", "number"),
      head("out", "Records given out, a second", "number"), head("waits", "Records in the input topic that are not taken yet", "number"),
      head("late", "Records that came behind the watermark", "number"), head("duplicate", "Records whose id was known", "number"),
      head("dead", "Records that became dead letters", "number"),
      head("watermark", "Event time up to which everything is taken to have come, of the task furthest behind", "number"),
      head("behind", "How far the watermark lies behind the host's clock", "number"),
      head("checkpoint", "Age of the oldest newest checkpoint", "number"), head("size", "All newest checkpoints together", "number"))),
    h("tbody", { role: "rowgroup" }, rows));
}

/** The watermark of the task furthest behind. */
function watermark(stage) {
  if (!stage.time) return "–";
  const known = stage.tasks.map((task) => task.watermark_ms).filter(Number.isFinite);
  if (known.length < stage.tasks.length) {
    return known.length === 0 ? "none yet" : `none yet in ${stage.tasks.length - known.length} of ${stage.tasks.length}`;
  }
  return timeOf(Math.min(...known));
}

function timeOf(ms) {
  const date = new Date(ms);
  if (Number.isNaN(date.getTime())) return "–";
  const iso = date.toISOString();
  return h("time", { datetime: iso, title: `${iso.slice(0, 23).replace("T", " ")} UTC` },
    h("span", { class: "day" }, iso.slice(0, 10)), " ", iso.slice(11, 19));
}

/** All tasks, those in trouble first; of many that run, only as many as are asked for. */
export function tasks(status, history, opened, width) {
  const shownMax = width < NARROW ? 1 : SHOWN_MAX;
  const bodies = status.stages.map((stage) => {
    const order = [...stage.tasks].sort((one, two) =>
      STATES.indexOf(one.state) - STATES.indexOf(two.state) || one.partition - two.partition);
    const all = opened.has(stage.name) || stage.tasks.length <= shownMax;
    const shown = all ? order : order.filter((task) => !isWell(task.state)).slice(0, 32);
    const more = stage.tasks.length > shownMax && h("button", { type: "button", "data-do": "tasks", "data-what": stage.name,
      "aria-expanded": String(opened.has(stage.name)) },
    opened.has(stage.name) ? "fewer" : `all ${stage.tasks.length}`);
    return h("tbody", { role: "rowgroup", key: stage.name },
      stage.tasks.length > 1 && h("tr", { role: "row", class: "group" }, h("th", { role: "rowheader", colspan: 12, scope: "rowgroup" },
        h("div", null, h("b", null, stage.name), strip(stage), more))),
      shown.map((task) => row(stage, task, status, history)));
  });
  return h("table", { role: "table" },
    h("caption", { class: "hidden" }, "Tasks: one stage on one partition each"),
    h("thead", { role: "rowgroup" }, h("tr", { role: "row" },
      head("task"), head("state"), head("in", "Records taken in, a second", "number"),
      head("waits", "Records that are not taken yet", "number"),
      head("in flight", "Records on which credit is out, of the most allowed", "number"),
      head("withheld", "Share of the last ten seconds in which credit was withheld; of a sink, or its receiver was at work", "number"),
      head("watermark", "Event time up to which everything is taken to have come", "number"),
      head("core", "Share of one core that its operators use", "number"),
      head("memory", "Memory of its operators", "number"), head("checkpoint", "Age and size of the newest", "number"),
      head("restarts", "Restarts, and traps of its operators", "number"),
      head("recovered", "Where its state came from when it was last taken up"))),
    bodies);
}

/** A small sign for each task of a stage. */
const strip = (stage) => h("span", { class: "strip", role: "img",
  "aria-label": said(stage.tasks) },
[...stage.tasks].sort((one, two) => one.partition - two.partition)
  .map((task) => h("span", { key: String(task.partition), title: `${stage.name}/${task.partition}: ${task.state}` },
    stateSign(task.state))));

function row(stage, task, status, history) {
  const name = `task:${stage.name}/${task.partition}`;
  const heldShare = history.heldShare(stage, task, 10_000);
  const { checkpoint, credit, reason } = task;
  const why = reason && [isWell(task.state) && !Number.isFinite(task.delivery.failing_since_ms) && h("span", { class: "quiet" }, "its last failure: "), reason.code && h("code", null, line(reason.code, 60)), reason.code && " ",
    h("span", null, visible(String(reason.message).slice(0, 1000)))];
  return [
    h("tr", { role: "row", key: `${task.partition}`, class: `state-${task.state}${why ? " explained" : ""}` },
      h("th", { role: "rowheader", scope: "row", "data-label": "task" }, `${stage.name}/${task.partition}`),
      cell("state", { class: "said" }, h("span", { class: "named" }, stateSign(task.state), task.state),
        h("small", { title: `epoch ${task.epoch}` }, ` · epoch ${count(task.epoch)}`)),
      number("in", rate(history.rate(`${name}:in`))),
      number("waits", count(task.lag_records), task.lag_records > 0 ? "strong" : ""),
      number("in flight", Number.isFinite(credit.max) ? `${count(credit.in_flight)} of ${count(credit.max)}` : "–"),
      number("withheld", share(heldShare), heldShare > 0.25 && (!stage.sink || task.lag_records > 0) ? "warn" : ""),
      cell("watermark", { class: "number", title: task.held_by ? `waits for the time of ${task.held_by}` : "" },
        !stage.time ? "–" : Number.isFinite(task.watermark_ms) ? timeOf(task.watermark_ms) : "none yet"),
      number("core", share(history.rate(`${name}:guest`))),
      number("memory", bytes(task.guest.memory_bytes)),
      number("checkpoint", checkpoint ? `${span(Math.floor(checkpoint.age_seconds))} ago · ${bytes(checkpoint.bytes)}` : "none yet"),
      number("restarts", `${count(task.restarts)} · ${count(task.traps)} traps`, task.restarts > 0 ? "strong" : ""),
      cell("recovered", null, { local: "local", remote: "remote copy", fresh: "fresh, empty" }[task.recovery_path] ?? "–")),
    why && h("tr", { role: "row", key: `${task.partition}-why`, class: `why state-${task.state}` },
      h("td", { role: "cell", colspan: 12 }, why)),
  ];
}
