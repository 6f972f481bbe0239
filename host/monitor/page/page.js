// Puts the page together: asks the host, keeps the history, draws, and does what is clicked. It
// reads and shows, and must never change anything at the host.

import { patch } from "./dom.js";
import { clock, span } from "./format.js";
import { graph } from "./graph.js";
import { History } from "./history.js";
import { watch } from "./host.js";
import { kindTable, letter, letterHead, letterList, moreLetters } from "./letters.js";
import { problems } from "./problems.js";
import { kinds } from "./refused.js";
import { stages, tasks } from "./tables.js";
import { figures, gone, verdict } from "./verdict.js";

const at = (id) => document.getElementById(id);
const history = new History();
const opened = new Set();
let status = null;
let answers = 0;
let lost = null;
let lostSince = null;
let heard = null;
/** When the host's view of its tasks last moved on, by this page's own clock. */
let moved = performance.now();
/** The letter that is open, as it was when it was opened. */
let open = null;
let asItCame = false;
let allLetters = false;
/** The letters as they stood when somebody began to point at them. */
let held = null;

function draw() {
  const away = lost !== null;
  document.documentElement.classList.toggle("away", away);
  at("live").className = away ? "live lost" : "live";
  const byKind = status ? kinds(status, history) : [];
  const spiking = new Set(byKind.filter((kind) => ["bad", "warn"].includes(kind.level)).map((kind) => kind.stage));
  const list = status ? problems(status, history, byKind, (performance.now() - moved) / 1000) : [];
  if (away) patch(at("verdict"), gone(lostSince, lost, status !== null));
  else if (status) patch(at("verdict"), verdict(list, status, answers > 1));
  title(list, away);
  if (!status) return;
  at("content").hidden = false;
  patch(at("pipeline"), status.pipeline || "pipeline");
  patch(at("about"), about());
  patch(at("figures"), figures(status, history));
  patch(at("graph"), graph(status, history, spiking, room(at("graph"))));
  patch(at("stages"), stages(status, history, spiking));
  patch(at("tasks"), tasks(status, history, opened, at("tasks").clientWidth));
  patch(at("kinds"), kindTable(byKind, history));
  patch(at("dead-about"), letterHead(status, history));
  drawLetters();
  patch(at("foot"), foot());
}

/** The width inside an element's padding. */
function room(element) {
  const style = getComputedStyle(element);
  return element.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
}

function drawLetters() {
  const last = status.dead_letters.last;
  const shown = held ?? last;
  const known = new Set(shown.map((one) => one.id));
  const news = last.filter((one) => !known.has(one.id)).length;
  patch(at("news"), held && news > 0 ? `${news >= 50 ? "50 or more" : news} newer: shown when you point elsewhere` : "");
  patch(at("letters"), letterList(shown, status, allLetters));
  patch(at("more"), moreLetters(shown, allLetters));
  if (open) patch(at("letter"), letter(open, status, asItCame));
}

function about() {
  const state = { running: "runs", starting: "starts", draining: "drains", stopped: "has stopped" }[status.state] ?? status.state;
  return `${state} for ${span((status.now_ms - status.started_ms) / 1000)} · process ${status.pid} · Pawl ${status.pawl}`;
}

/** The clocks, if they differ so much that it matters to somebody who compares. */
function foot() {
  const skew = (heard - status.now_ms) / 1000;
  const clocks = Math.abs(skew) > 5
    ? ` This device's clock is ${span(Math.abs(skew))} ${skew > 0 ? "ahead of" : "behind"} the host's; times here are the host's.`
    : "";
  return `The host's clock: ${clock(status.now_ms)}. Counts are since each task's birth, rates are the mean of five seconds.${clocks}`;
}

function title(list, away) {
  const real = list.filter((problem) => problem.level !== "note");
  const name = status?.pipeline ?? "Pawl";
  document.title = away ? `✕ no answer · ${name}`
    : real.length > 0 ? `(${real.length}) ${real[0].what.slice(0, 80)} · ${name}` : `${name} · Pawl`;
}

watch(
  (told) => {
    heard = Date.now();
    if (told.now_ms !== status?.now_ms) moved = performance.now();
    status = told;
    answers += 1;
    lost = null;
    lostSince = null;
    history.take(told);
    draw();
  },
  (words) => {
    lostSince ??= heard ?? Date.now();
    lost = words;
    answers = 0;
    draw();
  },
);

const actions = {
  tasks(what) {
    if (!opened.delete(what)) opened.add(what);
    draw();
  },
  letter(what) {
    open = (held ?? status.dead_letters.last).find((one) => String(one.id) === what) ?? null;
    asItCame = false;
    if (!open) return;
    patch(at("letter"), letter(open, status, asItCame));
    at("letter").showModal();
  },
  more() {
    allLetters = !allLetters;
    draw();
  },
  close: () => at("letter").close(),
  raw() {
    asItCame = !asItCame;
    draw();
  },
  async copy(what, button) {
    const done = await copied(what);
    button.classList.add(done ? "done" : "failed");
    at("said").textContent = done ? "copied" : "could not copy: select the text instead";
    setTimeout(() => {
      button.classList.remove("done", "failed");
      at("said").textContent = "";
    }, 1500);
  },
  theme() {
    const dark = matchMedia("(prefers-color-scheme: dark)").matches;
    const system = dark ? "dark" : "light";
    const next = (document.documentElement.dataset.theme ?? system) === "dark" ? "light" : "dark";
    theme(next === system ? null : next);
  },
};

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-do]");
  if (button) actions[button.dataset.do]?.(button.dataset.what, button);
  else if (event.target === at("letter")) at("letter").close();
});
at("letter").addEventListener("close", () => {
  open = null;
});

/** The clipboard is only given to pages from a safe origin; elsewhere the old way still works. */
async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = document.createElement("textarea");
    area.value = text;
    area.className = "hidden";
    (at("letter").open ? at("letter") : document.body).append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}

/** Letters do not move away under a pointer or from under the focus. */
const hold = () => {
  held ??= status?.dead_letters.last ?? null;
};
const release = () => {
  if (at("letters").matches(":hover, :focus-within")) return;
  held = null;
};
for (const name of ["pointerenter", "focusin"]) at("letters").addEventListener(name, hold);
for (const name of ["pointerleave", "focusout"]) at("letters").addEventListener(name, () => setTimeout(release));

/** The theme that somebody chose; none follows the system. */
function theme(chosen) {
  if (chosen) document.documentElement.dataset.theme = chosen;
  else delete document.documentElement.dataset.theme;
  try {
    if (chosen) localStorage.setItem("pawl-theme", chosen);
    else localStorage.removeItem("pawl-theme");
  } catch {
    // A browser that keeps nothing forgets the choice.
  }
}

try {
  theme(localStorage.getItem("pawl-theme"));
} catch {
  // As above.
}

new ResizeObserver(() => status && draw()).observe(at("graph"));
