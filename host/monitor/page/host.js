// Asks the host for its status, once a second, for ever. What goes wrong is told in plain words and
// never ends the asking. It must never have two questions under way.

import { normalise } from "./status.js";

/** Between two questions, in milliseconds. */
const EVERY_MS = 1_000;

/** A host that has not answered after that long does not answer. */
const LIMIT_MS = 5_000;

/** Begins to ask; `told` gets each status, `failed` each failure in words. */
export function watch(told, failed) {
  let timer = null;
  let asking = false;
  async function ask() {
    if (asking) return;
    asking = true;
    clearTimeout(timer);
    const begun = performance.now();
    try {
      told(await status());
    } catch (error) {
      failed(words(error));
    }
    asking = false;
    timer = setTimeout(ask, Math.max(100, EVERY_MS - (performance.now() - begun)));
  }
  // A page in the background is slowed down by the browser; looked at again, it must not be old.
  document.addEventListener("visibilitychange", () => document.hidden || ask());
  ask();
}

async function status() {
  const answer = await fetch("api/status", { cache: "no-store", signal: AbortSignal.timeout(LIMIT_MS) });
  if (!answer.ok) throw new Refused(`it answers with HTTP ${answer.status}`);
  return normalise(await answer.json());
}

class Refused extends Error {}

function words(error) {
  if (error instanceof Refused) return error.message;
  if (error.name === "TimeoutError" || error.name === "AbortError") {
    return `no answer within ${LIMIT_MS / 1000} s: it hangs, or the way to it is slow`;
  }
  if (error instanceof TypeError) return "nobody listens there: the process has ended, or the network is down";
  return `what it answers cannot be read (${error.message})`;
}
