// Where things of the graph stand. Pure geometry: it knows sizes, and neither documents nor
// meaning. `layered` goes from left to right and folds what is too wide into rows, as text does;
// `railed` puts one thing on each line with the connections beside them, for a narrow screen.

const GAP_MIN = 44;
const GAP_MAX = 112;
const APART = 26;
const ROW_APART = 40;
const EDGE = 20;

/**
 * Places `nodes` ({id, w, h, over}) joined by `edges` ({from, to}) in a box of this width.
 * Returns {nodes: Map id -> {x, y} (middles), edges: [{from, to, path, label: {x, y}}], width, height}.
 */
export function layered(nodes, edges, width) {
  const graph = prepare(nodes, edges);
  const layers = split(graph);
  order(layers, graph);
  const rows = fold(layers, width - 2 * EDGE);
  let top = 0;
  let widest = 0;
  rows.forEach((row) => {
    const height = spread(row.layers, graph);
    const first = overhang(row.layers[0]);
    const last = overhang(row.layers.at(-1));
    const wide = row.layers.reduce((sum, layer) => sum + layer.w, first + last);
    const gaps = row.layers.length - 1;
    const room = width - 2 * EDGE - wide;
    const gap = gaps > 0 ? Math.min(GAP_MAX, Math.max(GAP_MIN, room / gaps)) : 0;
    let x = EDGE + first;
    for (const layer of row.layers) {
      for (const node of layer.nodes) {
        node.x = x + layer.w / 2;
        node.y += top + height / 2;
      }
      x += layer.w + gap;
    }
    widest = Math.max(widest, x - gap + last + EDGE);
    row.top = top;
    row.bottom = top + height;
    top += height + ROW_APART;
  });
  const wide = rows.length > 1 ? Math.max(width, widest) : widest;
  return {
    nodes: new Map([...graph.nodes].filter(([, node]) => !node.bend)),
    edges: graph.edges.map((edge) => drawn(edge, graph, rows, wide)),
    width: wide,
    height: top - ROW_APART,
  };
}

/** By how much a label is wider than what it names. */
const overhang = (layer) => Math.max(...layer.nodes.map((node) => node.over ?? 0));

/** Nodes by id with their neighbours, and for each its layer: the longest way from a beginning. */
function prepare(nodes, edges) {
  const graph = { nodes: new Map(nodes.map((node) => [node.id, { ...node, into: [], out: [] }])) };
  const known = edges.filter((edge) => graph.nodes.has(edge.from) && graph.nodes.has(edge.to));
  const forward = withoutCycles(graph.nodes, known);
  for (const edge of forward) {
    graph.nodes.get(edge.from).out.push(edge.to);
    graph.nodes.get(edge.to).into.push(edge.from);
  }
  const depth = (node) => {
    node.layer ??= node.into.reduce((max, id) => Math.max(max, depth(graph.nodes.get(id)) + 1), 0);
    return node.layer;
  };
  for (const node of graph.nodes.values()) depth(node);
  // A beginning stands beside what it feeds, not far to the left of it.
  for (const node of graph.nodes.values()) {
    if (node.into.length > 0 || node.out.length === 0) continue;
    node.layer = Math.min(...node.out.map((id) => graph.nodes.get(id).layer)) - 1;
  }
  graph.edges = forward.map((edge) => ({ ...edge, via: bends(edge, graph) }));
  return graph;
}

/** Edges but for those that would close a circle. */
function withoutCycles(nodes, edges) {
  const out = new Map([...nodes.keys()].map((id) => [id, []]));
  for (const edge of edges) out.get(edge.from).push(edge);
  const kept = [];
  const state = new Map();
  const visit = (id) => {
    state.set(id, "open");
    for (const edge of out.get(id)) {
      if (state.get(edge.to) === "open") continue;
      kept.push(edge);
      if (!state.has(edge.to)) visit(edge.to);
    }
    state.set(id, "done");
  };
  for (const id of nodes.keys()) if (!state.has(id)) visit(id);
  return kept;
}

/** An edge over several layers bends at a place of its own in each. */
function bends(edge, graph) {
  const from = graph.nodes.get(edge.from);
  const to = graph.nodes.get(edge.to);
  const via = [edge.from];
  for (let layer = from.layer + 1; layer < to.layer; layer += 1) {
    const id = `${edge.from}>${edge.to}@${layer}`;
    graph.nodes.set(id, { id, bend: true, layer, w: 0, h: 8, into: [via.at(-1)], out: [] });
    via.push(id);
  }
  via.push(edge.to);
  if (via.length > 2) {
    swap(from.out, edge.to, via[1]);
    swap(to.into, edge.from, via.at(-2));
    for (let at = 1; at < via.length - 1; at += 1) graph.nodes.get(via[at]).out = [via[at + 1]];
  }
  return via;
}

function swap(list, before, after) {
  list[list.indexOf(before)] = after;
}

function split(graph) {
  const layers = [];
  for (const node of graph.nodes.values()) (layers[node.layer] ??= { nodes: [] }).nodes.push(node);
  for (const layer of layers) layer.w = Math.max(...layer.nodes.map((node) => node.w));
  return layers;
}

/** Fewer crossings: each node goes to the mean place of its neighbours, forth and back. */
function order(layers, graph) {
  const number = (layer) => layer.nodes.forEach((node, at) => (node.at = at));
  layers.forEach(number);
  const mean = (node, ids) =>
    ids.length ? ids.reduce((sum, id) => sum + graph.nodes.get(id).at, 0) / ids.length : node.at;
  for (let pass = 0; pass < 6; pass += 1) {
    const forth = pass % 2 === 0;
    for (const layer of forth ? layers : [...layers].reverse()) {
      const place = new Map(layer.nodes.map((node) => [node, mean(node, forth ? node.into : node.out)]));
      layer.nodes.sort((one, two) => place.get(one) - place.get(two) || one.at - two.at);
      number(layer);
    }
  }
}

/** Layers into rows of at most this width, about evenly filled. */
function fold(layers, width) {
  const least = (some) => some.reduce((sum, layer) => sum + layer.w + GAP_MIN, -GAP_MIN);
  const rows = Math.max(1, Math.ceil(least(layers) / width));
  const target = Math.max(least(layers) / rows, 0);
  const folded = [{ layers: [] }];
  for (const layer of layers) {
    const row = folded.at(-1);
    const next = [...row.layers, layer];
    const enough = folded.length < rows && least(row.layers) >= target * 0.93;
    if (row.layers.length > 0 && (least(next) > width || enough)) folded.push({ layers: [layer] });
    else row.layers = next;
  }
  return folded;
}

/** Heights around the middle of a row: near the neighbours, never over each other. */
function spread(layers, graph) {
  for (const layer of layers) {
    let y = 0;
    for (const node of layer.nodes) {
      node.y = y + node.h / 2;
      y += node.h + APART;
    }
    const half = (y - APART) / 2;
    for (const node of layer.nodes) node.y -= half;
  }
  const here = new Set(layers.flatMap((layer) => layer.nodes));
  for (let pass = 0; pass < 8; pass += 1) {
    for (const layer of pass % 2 === 0 ? layers : [...layers].reverse()) {
      for (const node of layer.nodes) {
        const near = [...node.into, ...node.out].map((id) => graph.nodes.get(id));
        const ys = near.filter((one) => here.has(one)).map((one) => one.y);
        if (ys.length > 0) node.y = ys.reduce((sum, y) => sum + y, 0) / ys.length;
      }
      separate(layer.nodes);
    }
  }
  const all = [...here];
  const low = Math.min(...all.map((node) => node.y - node.h / 2));
  const high = Math.max(...all.map((node) => node.y + node.h / 2));
  for (const node of all) node.y -= (low + high) / 2;
  return high - low;
}

function separate(nodes) {
  const wanted = nodes.map((node) => node.y);
  for (let at = 1; at < nodes.length; at += 1) {
    const least = nodes[at - 1].y + (nodes[at - 1].h + nodes[at].h) / 2 + APART;
    if (nodes[at].y < least) nodes[at].y = least;
  }
  if (nodes.length < 2) return;
  const shift = nodes.reduce((sum, node, at) => sum + node.y - wanted[at], 0) / nodes.length;
  for (const node of nodes) node.y -= shift;
}

/** The line of an edge through all its bends, and where its label stands. */
function drawn(edge, graph, rows, width) {
  const rowOf = (node) => rows.find((row) => row.layers.some((layer) => layer.nodes.includes(node)));
  let path = "";
  let label = null;
  for (let at = 0; at + 1 < edge.via.length; at += 1) {
    const one = graph.nodes.get(edge.via[at]);
    const two = graph.nodes.get(edge.via[at + 1]);
    const from = { x: one.x + one.w / 2, y: one.y };
    const to = { x: two.x - two.w / 2, y: two.y };
    path += at === 0 ? `M${from.x} ${from.y}` : "";
    const row = rowOf(one);
    if (row === rowOf(two)) {
      const half = (to.x - from.x) / 2;
      path += from.y === to.y
        ? `H${to.x}`
        : `C${from.x + half} ${from.y} ${to.x - half} ${to.y} ${to.x} ${to.y}`;
      label ??= beside(edge, graph, from, to);
    } else {
      const between = row.bottom + ROW_APART / 2 + 4;
      const right = Math.min(from.x + GAP_MIN, width - 6);
      path += around([from, { x: right, y: from.y }, { x: right, y: between }, { x: 6, y: between },
        { x: 6, y: to.y }, to]);
      label ??= { x: (right + 6) / 2, y: between - 5 };
    }
  }
  return { ...edge, path, label };
}

/** A label below a line alone; where lines lie in a bundle, beside the end that lies apart. */
function beside(edge, graph, from, to) {
  const off = (near, far) => (near.y > far.y + 12 ? 14 : -6);
  if (graph.nodes.get(edge.from).out.length > 1) return { x: to.x - 24, y: to.y + off(to, from) };
  if (graph.nodes.get(edge.to).into.length > 1) return { x: from.x + 24, y: from.y + off(from, to) };
  return { x: (from.x + to.x) / 2, y: (from.y + to.y) / 2 + 17 };
}

/** Straight lines through points, with round corners. */
function around(points, radius = 9) {
  let path = "";
  for (let at = 1; at + 1 < points.length; at += 1) {
    const [before, here, after] = [points[at - 1], points[at], points[at + 1]];
    const part = (other) => {
      const far = Math.hypot(other.x - here.x, other.y - here.y) || 1;
      const by = Math.min(radius, far / 2) / far;
      return `${here.x + (other.x - here.x) * by} ${here.y + (other.y - here.y) * by}`;
    };
    path += `L${part(before)}Q${here.x} ${here.y} ${part(after)}`;
  }
  const last = points.at(-1);
  return `${path}L${last.x} ${last.y}`;
}

const LANE = 16;

/**
 * One node on each line, from the first to the last, with the edges as lanes at the left.
 * Returns the same as `layered`, and `indent`: where text may begin.
 */
export function railed(nodes, edges, { tall }) {
  const graph = prepare(nodes, edges);
  const real = new Map([...graph.nodes].filter(([, node]) => !node.bend));
  const sorted = follow(real, graph.edges);
  const lanes = [];
  const free = () => {
    const at = lanes.indexOf(null);
    return at >= 0 ? at : lanes.push(null) - 1;
  };
  let y = 0;
  for (const node of sorted) {
    const h = tall(node);
    node.y = y + h / 2;
    node.h = h;
    y += h;
    const waiting = lanes.flatMap((id, at) => (id === node.id ? [at] : []));
    node.lane = waiting[0] ?? free();
    for (const at of waiting) lanes[at] = null;
    lanes[node.lane] = node.id;
    const out = graph.edges.filter((edge) => edge.from === node.id);
    lanes[node.lane] = null;
    for (const edge of out) {
      const shared = lanes.indexOf(edge.to);
      edge.lane = lanes[node.lane] === null ? node.lane : shared >= 0 ? shared : free();
      lanes[edge.lane] = edge.to;
    }
  }
  const x = (lane) => 12 + lane * LANE;
  for (const node of sorted) node.x = x(node.lane);
  const drawn = graph.edges.map((edge) => {
    const [from, to] = [real.get(edge.from), real.get(edge.to)];
    const lane = x(edge.lane);
    const bend = 16;
    let path = `M${from.x} ${from.y}`;
    if (lane !== from.x) path += `C${from.x} ${from.y + bend} ${lane} ${from.y} ${lane} ${from.y + bend}`;
    path += `V${to.y - bend}`;
    path += lane !== to.x ? `C${lane} ${to.y} ${to.x} ${to.y - bend} ${to.x} ${to.y}` : `V${to.y}`;
    return { ...edge, path, label: null };
  });
  return { nodes: real, edges: drawn, height: y, indent: x(Math.max(lanes.length, 1)) - 2, order: sorted };
}

/** An order in which everything comes after what it needs, and chains stay together. */
function follow(nodes, edges) {
  const open = new Map([...nodes].map(([id]) => [id, edges.filter((edge) => edge.to === id).length]));
  const ready = [...nodes.values()].filter((node) => open.get(node.id) === 0).reverse();
  const sorted = [];
  while (ready.length > 0) {
    const node = ready.pop();
    sorted.push(node);
    for (const edge of edges.filter((one) => one.from === node.id).reverse()) {
      open.set(edge.to, open.get(edge.to) - 1);
      if (open.get(edge.to) === 0) ready.push(nodes.get(edge.to));
    }
  }
  return sorted;
}
