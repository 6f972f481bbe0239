// Dead letters: how many of each kind, the last ones, and one of them in full. All that a letter
// holds is foreign: it is shown as text, with what is hidden in it made visible, and quoted where
// it becomes part of a command.

import { h } from "./dom.js";
import { bytes, count, line, moment, setOut, several, share, times, visible, word } from "./format.js";
import { spark, when } from "./signs.js";

/** How long a message or payload may be on the page. */
const TEXT_MAX = 16_384;

/** A table of the kinds, most in the last minute first. */
export function kindTable(kinds, history) {
  if (kinds.length === 0) return h("p", { class: "quiet" }, "None so far.");
  const number = (label, text, tone = "") => h("td", { role: "cell", class: `number ${tone}`, "data-label": label }, text);
  return h("table", { role: "table" },
    h("caption", { class: "hidden" }, "Dead letters by kind"),
    h("thead", { role: "rowgroup" }, h("tr", { role: "row" },
      h("th", { role: "columnheader", scope: "col" }, "kind"),
      ["last minute", "of usual", "in all"].map((label) => h("th", { role: "columnheader", scope: "col", class: "number",
        title: label === "of usual" ? "How many times as many as this kind's share of all earlier records lets expect" : null }, label)))),
    h("tbody", { role: "rowgroup" }, kinds.map((kind) => {
      const tone = kind.level ?? "";
      return h("tr", { role: "row", key: kind.name, class: `kind ${tone}` },
        h("th", { role: "rowheader", scope: "row", "data-label": "kind" },
          h("b", null, line(kind.kind, 60)), h("small", null, line([kind.stage, kind.operator].filter(Boolean).join(" · "), 80))),
        h("td", { role: "cell", class: "number sparked", "data-label": "last minute" },
          spark(history.rates(kind.name), { what: `${line(kind.kind, 60)}, dead letters`, tone, width: 56 }),
          h("span", null, count(kind.now === null ? null : Math.round(kind.now)))),
        number("of usual", !(kind.now >= 5) ? "–" : kind.above === Infinity ? "new" : times(kind.above), tone),
        number("in all", count(kind.count)));
    })));
}

/** So many letters are shown without being asked for. */
const SHOWN_MAX = 8;

/** The last ones, newest first; each is a button that opens it. */
export function letterList(letters, status, all) {
  if (letters.length === 0) return h("li", { key: "none", class: "quiet" }, "None so far.");
  return letters.slice(0, all ? letters.length : SHOWN_MAX).map((letter) => h("li", { key: String(letter.id) },
    h("button", { type: "button", "data-do": "letter", "data-what": String(letter.id), "aria-haspopup": "dialog" },
      h("span", { class: "age" }, when(letter.time_ms, status.now_ms)),
      h("b", null, line(letter.kind, 40)),
      h("span", { class: "from" }, line(letter.operator || letter.stage, 40)),
      h("bdi", { class: "message" }, line(letter.message)),
      h("bdi", { class: "payload", "aria-hidden": "true" }, line(letter.payload, 160)))));
}

/** The button that shows the others, or hides them. */
export function moreLetters(letters, all) {
  if (letters.length <= SHOWN_MAX) return null;
  return h("button", { type: "button", "data-do": "more", "aria-expanded": String(all), "aria-controls": "letters" },
    all ? "fewer" : `all ${letters.length}`);
}

/** How full the topic is, and what it is called. */
export function letterHead(status, history) {
  const { topic, total, records, records_max: recordsMax, bytes: used, bytes_max: bytesMax } = status.dead_letters;
  const minute = history.growth("all:dead", 60_000);
  const parts = [`${several(total, "dead letter")} since birth`];
  if (Number.isFinite(records)) {
    const bound = recordsMax > 0 ? ` (${share(records / recordsMax)} of ${count(recordsMax)} allowed)` : "";
    parts.push(`${count(records)} kept${topic ? ` in ${line(topic, 80)}` : ""}${bound}`);
  }
  if (used > 0) parts.push(bytesMax > 0 ? `${bytes(used)} of ${bytes(bytesMax)}` : bytes(used));
  if (minute) parts.push(`${count(minute.by)} in the last minute`);
  return parts.join(" · ");
}

/** A number as it is typed into a command. */
const exact = (value) => (Number.isFinite(value) ? String(value) : "–");

/** A command to type, with a button that copies it. */
export const command = (text) => h("span", { class: "command" }, h("code", null, text),
  h("button", { type: "button", "data-do": "copy", "data-what": text, "aria-label": `copy: ${text}` }, "copy"));

/** One letter in full. */
export function letter(one, status, asItCame) {
  const id = String(one.id);
  const message = String(one.message ?? "");
  const term = (name, ...value) => [h("dt", null, name), h("dd", null, ...value)];
  const file = word(status.file);
  return [
    h("header", null,
      h("h2", { id: "letter-title" }, line(one.kind, 80)),
      h("p", { class: "quiet" }, line([one.stage, one.operator].filter(Boolean).join(" · "), 120), ", ",
        when(one.time_ms, status.now_ms)),
      h("button", { type: "button", class: "close", "data-do": "close", "aria-label": "close" }, "✕")),
    h("p", { class: "message" }, h("bdi", null, visible(message.slice(0, TEXT_MAX))),
      message.length > TEXT_MAX && h("small", null, ` … ${several(message.length, "character")} in all`)),
    payload(one, asItCame),
    h("dl", null,
      term("failed", moment(one.time_ms)),
      term("came from", `${line(one.topic, 200)}, partition ${exact(one.partition)}, offset ${exact(one.offset)}`),
      term("class", line(one.class, 60) || "–"),
      term("disposition", line(one.disposition, 60) || "–"),
      term("sent back", one.replay_count > 0 ? several(one.replay_count, "time") : "never"),
      term("id", command(line(id, 80)))),
    h("h3", null, "To go on"),
    h("ul", { class: "commands" },
      h("li", null, h("span", null, "everything about it"), command(`pawl dlq show -p ${file} ${word(id)}`)),
      h("li", null, h("span", null, "its payload, byte for byte"), command(`pawl dlq show -p ${file} ${word(id)} --payload`)),
      h("li", null, h("span", null, "would it succeed now? (sends nothing)"),
        command(`pawl dlq replay -p ${file} --id=${word(id)} --dry-run`)),
      h("li", null, h("span", null, "all of this kind, over time"),
        command(`pawl dlq stats -p ${file} --kind=${word(one.kind)}`))),
  ];
}

function payload(one, asItCame) {
  const text = String(one.payload ?? "");
  const shownBytes = new TextEncoder().encode(text).length;
  const whole = !(one.payload_bytes > shownBytes) || one.payload_bytes <= 1024;
  const set = whole ? setOut(text) : null;
  const shown = set !== null && !asItCame ? set : text;
  const notes = [bytes(one.payload_bytes)];
  if (!whole) notes.push("only its beginning is shown");
  if (text.includes("\uFFFD")) notes.push("not all of it is text: � stands for bytes that are none");
  return h("section", { class: "payload", "aria-label": "payload" },
    h("div", null, h("h3", null, "Payload"), h("small", null, notes.join(" · ")),
      set !== null && h("button", { type: "button", "data-do": "raw", "aria-pressed": String(asItCame) }, "as it came")),
    h("pre", { dir: "ltr", tabindex: 0 }, text === "" ? h("i", null, "empty") : visible(shown.slice(0, TEXT_MAX))));
}
