// The pipeline as a drawing: sources, topics, stages and sinks, with what flows and what waits.

import { h } from "./dom.js";
import { count, rate, several, share, short, shortRate } from "./format.js";
import { layered, railed } from "./layout.js";
import { sparkPath, stateMark } from "./signs.js";
import { isWell, most, sum, worst } from "./status.js";

/** Below this width in pixels the drawing becomes a list with rails. */
const NARROW = 620;

const SIZES = {
  source: { w: 104, h: 44 },
  topic: { w: 28, h: 30, over: 40 },
  stage: { w: 142, h: 66 },
};

let context = null;

/** As much of a name as fits into so many pixels. */
function fit(text, room, font = 13, weight = 600) {
  context ??= document.createElement("canvas").getContext("2d");
  context.font = `${weight} ${font}px ${getComputedStyle(document.body).fontFamily}`;
  if (context.measureText(text).width <= room) return text;
  let end = text.length;
  while (end > 1 && context.measureText(`${text.slice(0, end)}…`).width > room) end -= 1;
  return `${text.slice(0, end)}…`;
}

/** The drawing for a box of this width; `spiking` names stages that refuse more than usual. */
export function graph(status, history, spiking, width) {
  const things = gather(status, history, spiking);
  if (things.nodes.length === 0) return h("p", { class: "quiet" }, "The host names no stages.");
  return width < NARROW ? rails(things, width) : layers(things, width);
}

/** Nodes and edges with the numbers that stand beside them. */
function gather(status, history, spiking) {
  const nodes = [];
  for (const source of status.sources) {
    const per = history.rate(`source:${source.name}:records`);
    const { state } = source;
    nodes.push({ id: `source:${source.name}`, kind: "source", name: source.name, state, rate: per,
      tag: source.kind, words: `source ${source.name}, ${state}, ${rate(per)}` });
  }
  // Every stage may write dead letters: they are told at the stage, not by a line from each.
  const letters = status.dead_letters.topic;
  const isLine = (edge) => edge.to !== `topic:${letters}`;
  const isRead = status.stages.some((stage) => stage.input === letters);
  const sentBack = [];
  for (const topic of status.topics) {
    if (topic.name === letters && !isRead) continue;
    const back = status.stages.find((stage) => topic.name === `${status.pipeline}.${stage.name}.replay`);
    if (back) {
      if (topic.partitions.every((one) => one.end === one.begin)) continue;
      sentBack.push({ from: `topic:${topic.name}`, to: `stage:${back.name}`,
        rate: history.rate(`topic:${topic.name}:end`), lag: null, held: 0 });
    }
    const per = history.rate(`topic:${topic.name}:end`);
    nodes.push({ id: `topic:${topic.name}`, kind: "topic", name: topic.name, rate: per,
      tag: several(topic.partitions.length, "partition"),
      words: `topic ${topic.name}, ${several(topic.partitions.length, "partition")}, ${rate(per)}` });
  }
  for (const stage of status.stages) nodes.push(stageNode(stage, history, spiking));
  const edges = status.edges.filter(isLine).map((edge) => edgeOf(edge, status, history)).concat(sentBack);
  return { nodes: nodes.map((node) => ({ ...node, ...SIZES[node.kind] })), edges };
}

function stageNode(stage, history, spiking) {
  const { state, count: those } = worst(stage.tasks);
  const lag = sum(stage.tasks.map((task) => task.lag_records));
  const dead = history.growth(`stage:${stage.name}:dead`, 60_000);
  const total = stage.tasks.length;
  const one = { running: "runs", waiting: "waits for input", ended: "has ended" };
  const said = isWell(state) ? (total > 1 ? several(total, "task") : one[state])
    : total > 1 ? `${those}/${total} ${state}` : state;
  return { id: `stage:${stage.name}`, kind: "stage", name: stage.name, state, said, lag,
    sink: stage.sink, rate: history.rate(`stage:${stage.name}:in`),
    rates: history.rates(`stage:${stage.name}:in`), dead: dead?.by ?? 0, spikes: spiking.has(stage.name),
    words: `${stage.sink ? `sink (${stage.sink})` : "stage"} ${stage.name}, ${said}, takes `
      + `${rate(history.rate(`stage:${stage.name}:in`))}, ${several(lag, "record")} wait` };
}

function edgeOf(edge, status, history) {
  const [fromKind, from] = parts(edge.from);
  const [toKind, to] = parts(edge.to);
  let per = null;
  if (toKind === "stage") per = history.rate(`stage:${to}:in`);
  else if (status.edges.filter((other) => other.to === edge.to).length === 1) {
    per = history.rate(`topic:${to}:end`);
  } else if (fromKind === "source") per = history.rate(`source:${from}:records`);
  else {
    const stage = status.stages.find((one) => one.name === from);
    per = stage?.outputs.length === 1 ? history.rate(`stage:${from}:out`) : null;
  }
  const stage = toKind === "stage" && status.stages.find((one) => one.name === to);
  // A sink is at its receiver whenever it works: that holds something back only where records wait.
  const shares = (stage ? stage.tasks : []).map((task) =>
    (stage.sink && !(task.lag_records > 0) ? 0 : history.heldShare(stage, task, 10_000)));
  const own = held(history.growth(`edge:${edge.from}>${edge.to}:withheld`, 10_000));
  const kept = shares.length > 0 ? most(shares) : own;
  return { from: edge.from, to: edge.to, rate: per, lag: edge.lag_records ?? null, held: kept ?? 0 };
}

const held = (grown) => (grown ? Math.min(1, grown.by / (grown.ms / 1000)) : null);

const parts = (id) => {
  const at = String(id).indexOf(":");
  return [String(id).slice(0, at), String(id).slice(at + 1)];
};

/** Held back for more than that share of the time is worth a look. */
const HELD = 0.25;

const flow = (per) => (per > 0 ? Math.min(5, 1.25 + Math.log10(1 + per) * 0.8) : 1.25);

const edgeClass = (edge) =>
  `edge${edge.rate > 0 ? " flows" : ""}${edge.held > HELD ? " held" : ""}`;

function layers({ nodes, edges }, width) {
  const above = 30;
  const below = 26;
  const placed = layered(nodes, edges, width);
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const drawn = placed.edges.map((edge) => h("g", { key: `${edge.from}>${edge.to}`, class: edgeClass(edge) },
    h("title", null, edgeWords(edge)),
    h("path", { d: edge.path, "stroke-width": flow(edge.rate).toFixed(1) }),
    edge.rate !== null && !edge.from.startsWith("source:")
      && h("text", { x: edge.label.x, y: edge.label.y, "text-anchor": "middle" }, shortRate(edge.rate)),
    edge.held > HELD && h("text", { class: "why", x: edge.label.x, y: edge.label.y + 15, "text-anchor": "middle" },
      `▲ ${share(edge.held)}`)));
  const boxes = [...placed.nodes.values()].map((at) => {
    const node = byId.get(at.id);
    const into = edges.some((edge) => edge.to === node.id);
    if (node.kind === "topic") return topicBox(node, at, into);
    return node.kind === "source" ? sourceBox(node, at) : stageBox(node, at);
  });
  return h("svg", { key: "layers", class: "graph layers", width: placed.width, height: placed.height + above + below,
    viewBox: `0 ${-above} ${placed.width} ${placed.height + above + below}`, role: "group", "aria-label": "The pipeline, from left to right" },
  drawn, boxes);
}

const edgeWords = (edge) => {
  const words = [`${parts(edge.from)[1]} to ${parts(edge.to)[1]}: ${rate(edge.rate)}`];
  if (edge.lag > 0) words.push(`${several(edge.lag, "record")} wait`);
  if (edge.held > HELD) words.push(`credit withheld ${share(edge.held)} of the time`);
  return words.join(", ");
};

function sourceBox(node, at) {
  const [x, y] = [at.x - node.w / 2, at.y - node.h / 2];
  return h("g", { key: node.id, class: `node source ${node.state}`, role: "img", "aria-label": node.words },
    h("title", null, node.words),
    h("path", { class: "box", d: `M${x + 8} ${y}h${node.w - 22}l14 ${node.h / 2}l-14 ${node.h / 2}h${22 - node.w}`
      + `a8 8 0 0 1-8-8v${16 - node.h}a8 8 0 0 1 8-8z` }),
    h("text", { class: "name", x: x + 10, y: at.y - 3 }, fit(node.name, node.w - 30)),
    h("text", { class: "quiet", x: x + 10, y: at.y + 13 }, fit(`${node.tag} · ${node.rate > 0 ? shortRate(node.rate) : node.state}`, node.w - 26, 11, 400)));
}

function topicBox(node, at, into) {
  const [x, y] = [at.x - node.w / 2, at.y - node.h / 2];
  const bars = [0, 1, 2].map((bar) => h("rect", { x: x + 2 + bar * 9, y: y + 3, width: 6, height: node.h - 6, rx: 1.5 }));
  return h("g", { key: node.id, class: "node topic", role: "img", "aria-label": node.words },
    h("title", null, node.words),
    h("rect", { class: "ground", x: x - 3, y, width: node.w + 6, height: node.h }),
    bars,
    h("text", { class: "label", x: at.x, y: y - 9, "text-anchor": "middle" }, fit(node.name, 112, 12, 500)),
    !into && node.rate !== null
      && h("text", { class: "quiet", x: at.x, y: y + node.h + 15, "text-anchor": "middle" }, `+${shortRate(node.rate)}`));
}

function stageBox(node, at) {
  const [x, y] = [at.x - node.w / 2, at.y - node.h / 2];
  const path = sparkPath(node.rates, 44, 20);
  const lag = node.lag > 0 ? `${short(node.lag)} wait` : "";
  return h("a", { key: node.id, class: `node stage ${node.state}${node.sink ? " sink" : ""}`,
    href: `#stage-${node.name}`, "aria-label": node.words },
  h("title", null, node.words),
  h("rect", { class: "box", x, y, width: node.w, height: node.h, rx: 5 }),
  node.sink && h("path", { class: "end", d: `M${x + node.w - 5} ${y + 6}v${node.h - 12}` }),
  path && h("path", { class: "line", transform: `translate(${x + node.w - 56} ${y + 36})`, d: path }),
  stateMark(node.state, x + 15, y + 16),
  h("text", { class: "name", x: x + 26, y: y + 20.5 }, fit(node.name, node.w - 36)),
  h("text", { class: "quiet", x: x + 10, y: y + 39 }, node.sink && isWell(node.state) ? `sink · ${node.sink}` : node.said),
  h("text", { class: "lag", x: x + 10, y: y + 55 }, lag),
  node.dead > 0 && h("text", { class: node.spikes ? "dead" : "quiet", x: at.x, y: y + node.h + 16, "text-anchor": "middle" },
    `✕ ${short(node.dead)} dead/min`));
}

function rails({ nodes, edges }, width) {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const tall = (node) => (byId.get(node.id).kind === "topic" ? 34 : 52);
  const placed = railed(nodes, edges, { tall });
  const left = placed.indent + 8;
  const lines = placed.order.map((at) => {
    const node = byId.get(at.id);
    const held = Math.max(0, ...edges.filter((edge) => edge.to === node.id).map((edge) => edge.held));
    return railLine(node, at, left, width, held);
  });
  return h("svg", { key: "rails", class: "graph rails", width, height: placed.height,
    viewBox: `0 0 ${width} ${placed.height}`, role: "group", "aria-label": "The pipeline, from top to bottom" },
  placed.edges.map((edge) => h("g", { key: `${edge.from}>${edge.to}`, class: edgeClass(edge) },
    h("path", { d: edge.path, "stroke-width": flow(edge.rate).toFixed(1) }))),
  lines);
}

function railLine(node, at, left, width, held) {
  const per = node.rate === null ? "" : rate(node.rate);
  if (node.kind === "topic") {
    return h("g", { key: node.id, class: "node topic", role: "img", "aria-label": node.words },
      h("rect", { class: "ground", x: at.x - 7, y: at.y - 6, width: 14, height: 12 }),
      [0, 1, 2].map((bar) => h("rect", { x: at.x - 6 + bar * 4.5, y: at.y - 5, width: 3, height: 10, rx: 1 })),
      h("text", { class: "label", x: left, y: at.y + 4 }, fit(node.name, width - left - 90, 12, 500)),
      h("text", { class: "number quiet", x: width - 2, y: at.y + 4, "text-anchor": "end" }, per));
  }
  const under = [node.kind === "source" ? `source · ${node.tag}` : node.sink ? `sink · ${node.sink}` : null,
    node.kind === "source" ? node.state : node.said].filter(Boolean).join(" · ");
  const notes = [held > HELD ? `▲ held ${share(held)}` : null, node.dead > 0 ? `✕ ${short(node.dead)} dead/min` : null];
  const note = notes.filter(Boolean).join("  ");
  const lag = node.lag > 0 ? `${count(node.lag)} wait` : "";
  return h(node.kind === "stage" ? "a" : "g", { key: node.id, class: `node ${node.kind} ${node.state}`,
    href: node.kind === "stage" ? `#stage-${node.name}` : null, role: node.kind === "stage" ? null : "img", "aria-label": node.words },
  h("rect", { class: "hit", x: 0, y: at.y - at.h / 2, width, height: at.h }),
  h("circle", { class: "ground", cx: at.x, cy: at.y, r: 9 }),
  stateMark(node.state, at.x, at.y),
  h("text", { class: "name", x: left, y: at.y - 3 }, fit(node.name, width - left - 96)),
  h("text", { class: "quiet", x: left, y: at.y + 14 }, fit(under, width - left - (lag || note ? 120 : 10), 11, 400)),
  h("text", { class: "number", x: width - 2, y: at.y - 3, "text-anchor": "end" }, per),
  h("text", { class: held > HELD ? "why" : node.spikes ? "dead" : note ? "quiet" : "lag", x: width - 2, y: at.y + 14, "text-anchor": "end" }, note || lag));
}
