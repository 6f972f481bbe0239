// The headline: what is wrong, worst first, or that all is well and from what one may tell.

import { h } from "./dom.js";
import { bytes, count, line, rate, several, share, span, visible } from "./format.js";
import { command } from "./letters.js";
import { levelSign, spark, whenClock } from "./signs.js";
import { isWell, most, said, sum } from "./status.js";

const SHOWN_MAX = 8;

/** The headline and the list below it. `seen` is false until two answers have been compared. */
export function verdict(list, status, seen) {
  const real = list.filter((problem) => problem.level !== "note");
  const notes = list.filter((problem) => problem.level === "note");
  if (real.length === 0) {
    return h("div", { class: `verdict ${seen ? "good" : "note"}` },
      h("div", { class: "lead" },
        h("h1", null, levelSign(seen ? "good" : "note"), h("span", null, seen ? "All is well" : "Looking …")),
        h("p", { class: "why" }, well(status))),
      notes.length > 0 && h("ol", { class: "problems" }, notes.map(item)));
  }
  const [first, ...others] = [...real, ...notes];
  const shown = others.slice(0, SHOWN_MAX - 1);
  const left = others.length - shown.length;
  return h("div", { class: `verdict ${first.level}` },
    h("div", { class: "lead" },
      h("h1", null, levelSign(first.level), h("span", null, line(first.what, 200))),
      details(first)),
    shown.length > 0 && h("ol", { class: "problems", "aria-label": "What else is wrong" }, shown.map(item),
      left > 0 && h("li", { key: "more", class: "quiet" }, `and ${left} more`)));
}

const item = (problem) => h("li", { key: problem.what, class: problem.level }, levelSign(problem.level),
  h("div", null, problem.at
    ? h("a", { class: "what", href: `#${problem.at}` }, line(problem.what, 200))
    : h("b", { class: "what" }, line(problem.what, 200)), details(problem)));

const details = (problem) => [
  problem.why && h("p", { class: "why" }, h("bdi", null, visible(String(problem.why).slice(0, 600)))),
  (problem.also || problem.type || problem.book) && h("p", { class: "also" },
    problem.also && h("span", null, problem.also),
    problem.type && command(problem.type),
    problem.book && h("span", { class: "book" }, `runbook ${problem.book}`)),
];

/** What speaks for it. */
function well(status) {
  const tasks = status.stages.flatMap((stage) => stage.tasks);
  const waiting = tasks.filter((task) => task.state === "waiting").length;
  const parts = [waiting > 0 && waiting === tasks.length
    ? `All ${several(waiting, "task")} stand at the end of their input`
    : tasks.every((task) => isWell(task.state)) ? `${several(tasks.length, "task")} work` : `Tasks: ${said(tasks)}`];
  const age = most(tasks.map((task) => task.checkpoint?.age_seconds));
  const lag = sum(tasks.map((task) => task.lag_records));
  if (lag !== null) parts.push(lag === 0 ? "no record waits" : `${several(lag, "record")} wait`);
  if (age !== null) parts.push(`the oldest checkpoint is ${span(Math.floor(age))} old`);
  return `${parts.join("; ")}.`;
}

/** The headline while the host does not answer. */
export function gone(since, lost, known) {
  return h("div", { class: "verdict bad" }, h("div", { class: "lead" },
    h("h1", null, levelSign("bad"), h("span", null, known
      ? ["The host does not answer since ", whenClock(since)]
      : "The host does not answer")),
    h("p", { class: "why" }, `For ${span(Math.floor((Date.now() - since) / 1000))}: ${lost}.`),
    h("p", { class: "also" }, h("span", null, known
      ? "What stands below is how it was then. This page asks again every second and goes on by itself."
      : "This page asks again every second."),
    h("span", { class: "book" }, "runbook PawlDown"))));
}

/** The few numbers of the whole. */
export function figures(status, history) {
  const into = status.stages.length > 0 ? inputs(status) : [];
  const add = (names, over) => sum(names.map((name) => history.rate(name, over)));
  const lines = into.map((name) => history.rates(name));
  const all = lines[0]?.map((_, step) => {
    const known = lines.map((one) => one[step]).filter((value) => value !== null);
    return known.length > 0 ? known.reduce((total, value) => total + value, 0) : null;
  }) ?? [];
  const tasks = status.stages.flatMap((stage) => stage.tasks);
  const dead = history.growth("all:dead", 60_000);
  const checkpoints = tasks.map((task) => task.checkpoint).filter(Boolean);
  const figure = (name, value, title, more) => h("div", { key: name, title }, h("dt", null, name), h("dd", null, value, more));
  return [
    figure("records in", rate(into.length ? add(into) : null), "Records that come into the pipeline from outside, a second",
      spark(all, { what: "records into the pipeline", width: 84, height: 20 })),
    figure("wait", count(sum(tasks.map((task) => task.lag_records))), "Records in topics that a stage has yet to take"),
    figure("dead, last minute", count(dead ? dead.by : null), "Dead letters of the last minute",
      spark(history.rates("all:dead"), { what: "dead letters", width: 84, height: 20, tone: "bad" })),
    figure("oldest checkpoint", span(most(checkpoints.map((one) => Math.floor(one.age_seconds)))), "Age of the newest checkpoint of the task that has the oldest"),
    figure("operators use", cores(history.rate("all:guest", 10_000)), "Processor time of all operators in one second"),
    figure("their memory", bytes(sum(tasks.map((task) => task.guest.memory_bytes))), "Memory of all operators"),
  ];
}

const cores = (used) => (used === null ? "–" : used < 1 ? `${share(used)} of a core` : `${used.toFixed(1)} cores`);

/** Topics that no stage writes: what comes in there comes from outside. */
function inputs(status) {
  const made = new Set(status.stages.flatMap((stage) => stage.outputs));
  const read = new Set(status.stages.map((stage) => stage.input));
  const names = status.topics.map((topic) => topic.name).filter((name) => read.has(name) && !made.has(name));
  return names.map((name) => `topic:${name}:end`);
}
