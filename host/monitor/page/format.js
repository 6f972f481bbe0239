// Numbers, times and foreign text as people read them. Unknown is a dash, never a nought.

export const UNKNOWN = "–";

const WHOLE = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

const known = (value) => typeof value === "number" && Number.isFinite(value);

/** A count: `1,204`, `12.4 M`. */
export function count(value) {
  if (!known(value)) return UNKNOWN;
  const size = Math.abs(value);
  if (size < 1e6) return WHOLE.format(value);
  return size < 1e9 ? `${digits(value / 1e6)} M` : `${digits(value / 1e9)} G`;
}

/** A count where room is short: `980`, `1.2k`, `12.4M`. */
export function short(value) {
  if (!known(value)) return UNKNOWN;
  const size = Math.abs(value);
  if (size < 1000) return digits(value);
  if (size < 1e6) return `${digits(value / 1e3)}k`;
  return size < 1e9 ? `${digits(value / 1e6)}M` : `${digits(value / 1e9)}G`;
}

/** A rate per second: `1,204/s`, `2.5/s`; slower ones per minute. */
export function rate(value) {
  if (!known(value)) return UNKNOWN;
  if (value === 0) return "0/s";
  if (value < 0.095) return `${digits(value * 60)}/min`;
  return value < 100 ? `${digits(value)}/s` : `${count(Math.round(value))}/s`;
}

/** A rate where room is short. */
export const shortRate = (value) => (known(value) && value >= 1000 ? `${short(value)}/s` : rate(value));

/** Three digits at most, but all those before the point. */
function digits(value) {
  const size = Math.abs(value);
  if (size >= 100) return WHOLE.format(value);
  const text = size >= 10 ? value.toFixed(1) : value.toFixed(2);
  return text.replace(/\.?0+$/, "");
}

/** Bytes: `812 B`, `1.2 kB`, `64 MB`. */
export function bytes(value) {
  if (!known(value)) return UNKNOWN;
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${digits(value)} ${units[unit]}`;
}

/** A span of time in seconds: `8 ms`, `1.5 s`, `3 min`, `2 h 5 min`, `12 d`. */
export function span(seconds) {
  if (!known(seconds)) return UNKNOWN;
  const size = Math.abs(seconds);
  const sign = seconds < 0 ? "−" : "";
  if (size === 0) return "0 s";
  if (size < 1) return `${sign}${Math.max(1, Math.round(size * 1000))} ms`;
  if (size < 10) return `${sign}${digits(Math.round(size * 10) / 10)} s`;
  if (size < 120) return `${sign}${Math.round(size)} s`;
  if (size < 7200) return `${sign}${Math.round(size / 60)} min`;
  const hours = Math.floor(size / 3600);
  if (hours < 48) {
    const minutes = Math.round((size % 3600) / 60);
    return `${sign}${hours} h${minutes ? ` ${minutes} min` : ""}`;
  }
  const days = Math.round(size / 86400);
  return days < 730 ? `${sign}${days} d` : `${sign}${digits(size / 31557600)} years`;
}

/** How long ago something was, in whole seconds at the finest. */
export function ago(seconds) {
  if (!known(seconds)) return UNKNOWN;
  if (seconds < -1) return `in ${span(-seconds)}`;
  return seconds < 1 ? "now" : `${span(Math.floor(seconds))} ago`;
}

/** A share: `4 %`, `0.12 %`, `170 %`. */
export const share = (value) => (known(value) ? `${digits(value * 100)} %` : UNKNOWN);

/** How many times: `40 ×`. */
export const times = (value) => (known(value) ? `${digits(value < 10 ? value : Math.round(value))} ×` : UNKNOWN);

/** A moment in full: `2026-11-24 14:25:03 UTC`. */
export function moment(ms) {
  const date = new Date(ms);
  if (!known(ms) || Number.isNaN(date.getTime())) return UNKNOWN;
  return `${date.toISOString().slice(0, 19).replace("T", " ")} UTC`;
}

/** The hour of a moment: `14:25:03 UTC`. */
export const clock = (ms) => moment(ms).split(" ").slice(1).join(" ") || UNKNOWN;

/** `1 record`, `2 records`. */
export const several = (value, word) => `${count(value)} ${word}${value === 1 ? "" : "s"}`;

// Control characters, marks that turn the direction of writing, and characters without width.
const HIDDEN =
  /[\u0000-\u0008\u000B-\u001F\u007F-\u009F\u061C\u200B-\u200F\u2028-\u202E\u2060-\u2069\uFEFF]/g;

/** Foreign text with everything in it to be seen; newlines and tabs stay. */
export function visible(text) {
  return String(text ?? "").replace(HIDDEN, (one) => {
    const code = one.codePointAt(0).toString(16).toUpperCase().padStart(4, "0");
    return `⟨U+${code}⟩`;
  });
}

/** The beginning of foreign text, in one line. */
export function line(text, max = 240) {
  const begin = String(text ?? "").slice(0, max + 1);
  const flat = visible(begin).replace(/\s+/g, " ").trim();
  return begin.length > max ? `${flat}…` : flat;
}

/** A word of a shell command: what came from outside is quoted, so that it stays a word. */
export function word(text) {
  const value = String(text ?? "").replace(HIDDEN, "").replace(/[\n\t]/g, "");
  return /^[\w@%+=:,./-]+$/.test(value) ? value : `'${value.replaceAll("'", "'\\''")}'`;
}

/** JSON set out over lines without changing one digit of it; null if it is no JSON. */
export function setOut(text) {
  try {
    if (typeof JSON.parse(text) !== "object") return null;
  } catch {
    return null;
  }
  const tokens = text.match(/"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g) ?? [];
  let out = "";
  let depth = 0;
  const newline = () => `\n${"  ".repeat(depth)}`;
  tokens.forEach((token, index) => {
    const opened = index > 0 && /^[{[]$/.test(tokens[index - 1]);
    if (/^[}\]]$/.test(token)) {
      depth -= 1;
      out += opened ? token : newline() + token;
      return;
    }
    out += opened ? newline() + token : token;
    if (/^[{[]$/.test(token)) depth += 1;
    else if (token === ",") out += newline();
    else if (token === ":") out += " ";
  });
  return out;
}
