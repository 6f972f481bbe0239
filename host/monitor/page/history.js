// The last five minutes of every number the host tells, and the rates that follow from them. It
// must never invent a rate: where a counter was unknown, went back, or belongs to another process,
// nothing is known across the gap.

/** How far back is kept, in milliseconds. */
export const KEPT_MS = 300_000;

/** What a shown rate is the mean of: long enough to be read, short enough to be news. */
const SMOOTH_MS = 5_000;

/** States in which a task's counters are not all read yet. */
const UNSETTLED = new Set(["starting", "recovering"]);

class Series {
  constructor() {
    this.times = [];
    this.values = [];
  }

  push(time, value, oldest) {
    this.times.push(time);
    this.values.push(value);
    // Cut in larger pieces, so that not each poll moves the whole array.
    if (this.times.length > 64 && this.times[32] < oldest) {
      const from = this.times.findIndex((one) => one >= oldest);
      this.times.splice(0, from);
      this.values.splice(0, from);
    }
  }
}

export class History {
  constructor() {
    this.counters = new Map();
    this.gauges = new Map();
    this.now = null;
    this.life = null;
    // The first and the last known value of each task's counters. A stage's counter is the sum of
    // what its tasks grew by: one that recovers adds nothing, and nothing when it is known again
    // but what it did.
    this.settled = new Map();
  }

  /** Takes a status in. */
  take(status) {
    const life = `${status.started_ms}/${status.pid}`;
    const back = this.now !== null && status.now_ms < this.now;
    if (back) {
      this.counters.clear();
      this.gauges.clear();
    }
    if (this.now !== null && life !== this.life) this.breakAll();
    if (status.now_ms === this.now) return;
    this.now = status.now_ms;
    this.life = life;
    const numbers = read(status, this.settled);
    for (const [name, value] of numbers.counters) this.push(this.counters, name, value);
    for (const [name, value] of numbers.gauges) this.push(this.gauges, name, value);
    for (const all of [this.counters, this.gauges]) {
      for (const [name, one] of all) {
        if (one.times.at(-1) < this.now - KEPT_MS) all.delete(name);
      }
    }
  }

  push(all, name, value) {
    let series = all.get(name);
    if (!series) all.set(name, (series = new Series()));
    series.push(this.now, value ?? NaN, this.now - KEPT_MS - SMOOTH_MS);
  }

  /** Nothing is known between now and what comes next: the host was away. */
  breakAll() {
    for (const [, series] of this.counters) series.values[series.values.length - 1] = NaN;
  }

  /** By how much a counter grew in the last `overMs`, and in which time; null if unknown. */
  growth(name, overMs) {
    return grown(this.counters.get(name), overMs);
  }

  /** A counter's growth per second. */
  rate(name, overMs = SMOOTH_MS) {
    const grown = this.growth(name, overMs);
    return grown && grown.by / (grown.ms / 1000);
  }

  /** Share of the last `overMs` in which a task of a stage took nothing, as withheld credit or, of a
      sink, at its receiver; null if unknown. */
  heldShare(stage, task, overMs) {
    const name = `task:${stage.name}/${task.partition}`;
    const parts = ["withheld", "delivering"].map((what) => this.growth(`${name}:${what}`, overMs));
    const known = parts.filter(Boolean);
    if (known.length === 0) return null;
    return Math.min(1, known.reduce((all, grown) => all + grown.by / (grown.ms / 1000), 0));
  }

  /** By how much a gauge rose (or fell) in the last `overMs`; null if unknown. */
  rise(name, overMs) {
    return grown(this.gauges.get(name), overMs, true);
  }

  /** How long this has been watched without a gap, in milliseconds. */
  watched(name) {
    return this.growth(name, KEPT_MS)?.ms ?? 0;
  }

  /** Rates per second of the last five minutes in steps of five seconds, null where unknown. */
  rates(name) {
    const series = this.counters.get(name);
    const steps = KEPT_MS / SMOOTH_MS;
    const found = new Array(steps).fill(null);
    if (!series) return found;
    const last = series.times.length - 1;
    const by = new Array(steps).fill(0);
    const ms = new Array(steps).fill(0);
    const stepOf = (time) => steps - 1 - Math.floor((this.now - time) / SMOOTH_MS);
    for (let at = last; at > 0 && stepOf(series.times[at]) >= 0; at -= 1) {
      const grew = series.values[at] - series.values[at - 1];
      const took = series.times[at] - series.times[at - 1];
      if (!(grew >= 0)) continue;
      // What was asked rarely is spread over the steps between.
      const first = Math.max(0, Math.min(stepOf(series.times[at]), stepOf(series.times[at - 1]) + 1));
      for (let step = first; step <= stepOf(series.times[at]); step += 1) {
        by[step] += grew;
        ms[step] += took;
      }
    }
    return found.map((_, step) => (ms[step] > 0 ? (by[step] / ms[step]) * 1000 : null));
  }
}

function grown(series, overMs, mayFall = false) {
  if (!series) return null;
  const last = series.times.length - 1;
  const end = series.values[last];
  if (Number.isNaN(end)) return null;
  let from = last;
  // A page in the background asks rarely: then the last two answers are what there is.
  while (from > 0 && (from === last || series.times[last] - series.times[from - 1] <= overMs)) {
    const earlier = series.values[from - 1];
    if (Number.isNaN(earlier) || (!mayFall && earlier > series.values[from])) break;
    from -= 1;
  }
  if (from === last) return null;
  return { by: end - series.values[from], ms: series.times[last] - series.times[from] };
}

/** Every number of a status by a name of its own. */
function read(status, known) {
  const counters = new Map();
  const gauges = new Map();
  const sum = (name, value) => {
    // One unknown part makes the sum unknown.
    const before = counters.has(name) ? counters.get(name) : 0;
    counters.set(name, before === null || !Number.isFinite(value) ? null : before + value);
  };
  for (const source of status.sources) {
    counters.set(`source:${source.name}:records`, source.records);
    counters.set(`source:${source.name}:dead`, source.dead_letters);
  }
  for (const topic of status.topics) {
    for (const one of topic.partitions) sum(`topic:${topic.name}:end`, one.end);
  }
  for (const stage of status.stages) {
    let lag = 0;
    for (const task of stage.tasks) {
      const name = `task:${stage.name}/${task.partition}`;
      const settled = !UNSETTLED.has(task.state);
      for (const [what, value] of Object.entries(task.records)) {
        counters.set(`${name}:${what}`, settled ? value : null);
        const seen = known.get(`${name}:${what}`);
        if (settled && Number.isFinite(value)) {
          known.set(`${name}:${what}`, { first: seen?.first ?? value, last: value });
        }
        const { first, last } = known.get(`${name}:${what}`) ?? { first: 0, last: 0 };
        sum(`stage:${stage.name}:${what}`, last - first);
      }
      counters.set(`${name}:guest`, task.guest?.seconds);
      counters.set(`${name}:withheld`, task.credit?.withheld_seconds);
      counters.set(`${name}:delivering`, task.delivery?.seconds);
      counters.set(`${name}:restarts`, task.restarts);
      counters.set(`${name}:traps`, task.traps);
      sum("all:guest", task.guest?.seconds ?? null);
      lag = lag === null || task.lag_records === null ? null : lag + task.lag_records;
      gauges.set(`${name}:watermark`, task.watermark_ms);
    }
    gauges.set(`stage:${stage.name}:lag`, lag);
  }
  for (const edge of status.edges) {
    counters.set(`edge:${edge.from}>${edge.to}:withheld`, edge.credit_withheld_seconds);
  }
  for (const kind of status.dead_letters?.by_kind ?? []) {
    counters.set(`kind:${kind.stage}|${kind.operator}|${kind.kind}`, kind.count);
  }
  counters.set("all:dead", status.dead_letters?.total);
  return { counters, gauges };
}
