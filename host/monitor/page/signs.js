// Small drawings that say a state by shape as well as by colour, the lines of the last minutes, and
// moments of time. All of them have words for those who do not see them.

import { ago, clock, moment, rate } from "./format.js";
import { h } from "./dom.js";

const DISC = "M6 1.5a4.5 4.5 0 1 1 0 9a4.5 4.5 0 1 1 0-9z";
const SHAPES = {
  running: DISC,
  waiting: `${DISC}M6 3.2a2.8 2.8 0 1 0 0 5.6a2.8 2.8 0 1 0 0-5.6z`,
  starting: `${DISC}M6 3.2v5.6a2.8 2.8 0 0 0 0-5.6z`,
  recovering: `${DISC}M6 3.2v5.6a2.8 2.8 0 0 0 0-5.6z`,
  failing: "M6 1L11.5 10.8H.5z",
  stopped: "M1.6 1.6h8.8v8.8H1.6z",
  ended: "M1.5 4.8h9v2.4h-9z",
};

/** What each level of a problem looks like. */
const LEVELS = { bad: "stopped", warn: "failing", note: "starting", good: "running" };

const shape = (name, title, more) =>
  h("svg", { class: `sign ${name}`, viewBox: "0 0 12 12", width: 12, height: 12,
    role: title ? "img" : null, "aria-label": title, "aria-hidden": title ? null : "true", ...more },
  h("path", { d: SHAPES[name] ?? SHAPES.starting, "fill-rule": "evenodd" }));

/** The sign of a task's state. */
export const stateSign = (state, title) => shape(SHAPES[state] ? state : "starting", title);

/** The sign of a state within a drawing, its middle at x, y. */
export const stateMark = (state, x, y) =>
  h("g", { class: `sign ${state}`, transform: `translate(${x - 6} ${y - 6})` },
    h("path", { d: SHAPES[state] ?? SHAPES.starting, "fill-rule": "evenodd" }));

/** The sign of a problem's level. */
export const levelSign = (level) => shape(LEVELS[level], null, { class: `sign level-${level}` });

/** A path through the rates of the last minutes, in a box of this size; gaps stay gaps. */
export function sparkPath(values, width, height) {
  const known = values.filter((value) => value !== null);
  if (known.length < 2) return null;
  const max = Math.max(...known) || 1;
  let path = "";
  let drawing = false;
  values.forEach((value, step) => {
    if (value === null) {
      drawing = false;
      return;
    }
    const x = (step / (values.length - 1)) * width;
    const y = height - (value / max) * height;
    path += `${drawing ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`;
    drawing = true;
  });
  return path;
}

/** The rates of the last five minutes as a line, with words. */
export function spark(values, { width = 72, height = 16, what = "records", tone = "" } = {}) {
  const known = values.filter((value) => value !== null);
  const path = sparkPath(values, width - 4, height - 4);
  const words = known.length > 1
    ? `${what}, last five minutes: at most ${rate(Math.max(...known))}, now ${rate(known.at(-1))}`
    : `${what}: no history yet`;
  return h("svg", { class: `spark ${tone}`, viewBox: `0 0 ${width} ${height}`, width, height, role: "img",
    "aria-label": words },
  h("title", null, words),
  h("path", { class: "base", d: `M2 ${height - 1.5}H${width - 2}` }),
  path && h("path", { class: "line", transform: "translate(2 2)", d: path }));
}

/** A moment: how long ago, and in full on hover. */
export function when(ms, now) {
  if (!Number.isFinite(ms)) return "–";
  const date = new Date(ms);
  const iso = Number.isNaN(date.getTime()) ? null : date.toISOString();
  return h("time", { datetime: iso, title: moment(ms) }, ago((now - ms) / 1000));
}

/** As `when`, but the hour first. */
export const whenClock = (ms) => h("time", { datetime: new Date(ms).toISOString(), title: moment(ms) }, clock(ms));
