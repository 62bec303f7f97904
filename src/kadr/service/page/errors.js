// What to say and do where the service doesn't answer as wished.

import { ApiError } from "./api.js";
import { say } from "./texts.js";

const KEYS = { 0: "offline", 403: "forbidden", 408: "tooSlow", 413: "tooLarge", 415: "noPicture", 429: "tooMany", 503: "busy" };
const NO_LIBRARY = "urn:kadr:problem:no-library";
const NO_RECORD = "urn:kadr:problem:no-record";
const PASSING = [0, 429, 503];

/** One line that says what to do; null where something else on the page says it. @param {unknown} error */
export function messageOf(error) {
  if (!(error instanceof ApiError)) throw error;
  if (error.status === 401) return null; // the key is being asked for
  if (error.type === NO_LIBRARY) return say("noLibrary");
  if (error.type === NO_RECORD) return say("noRecord");
  if (KEYS[error.status]) return say(KEYS[error.status]);
  if (error.status >= 500) return say("broken");
  return error.detail || say("broken");
}

/** @param {unknown} error */
export function isAbort(error) {
  return error instanceof DOMException && error.name === "AbortError";
}

/**
 * Asks until there is an answer or a refusal that stays one.
 * @template T
 * @param {() => Promise<T>} ask
 * @param {(line: string | null) => void} tell what is being waited for; null: no longer
 * @param {AbortSignal} [signal]
 * @returns {Promise<T>}
 */
export async function patiently(ask, tell, signal) {
  for (let tries = 0; ; tries++) {
    try {
      const answer = await ask();
      if (tries) tell(null);
      return answer;
    } catch (error) {
      if (!(error instanceof ApiError) || !PASSING.includes(error.status)) throw error;
      if (error.type === NO_RECORD) throw error; // it lasts until somebody mends the service
      tell(messageOf(error));
      await pause(error.status === 0 ? Math.min(2 ** tries, 15) : Math.min(error.retryAfter, 60), signal);
    }
  }
}

/** Ends early where the network is back. @param {number} seconds @param {AbortSignal} [signal] */
function pause(seconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(done, seconds * 1000);
    function done() {
      clearTimeout(timer);
      removeEventListener("online", done);
      resolve(undefined);
    }
    addEventListener("online", done);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      removeEventListener("online", done);
      reject(new DOMException("", "AbortError"));
    });
  });
}
