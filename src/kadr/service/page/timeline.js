// Photos by time: months with headings, their photos fetched where somebody looks.

import * as api from "./api.js";
import { month, say } from "./texts.js";

/**
 * @typedef {object} Gap photos that aren't here yet
 * @property {"gap"} kind
 * @property {number} start the first one's place in the order of time
 * @property {number} count
 */

/** Photos that are fetched together, and the most in one gap. */
const AT_ONCE = 100;

/**
 * Headings and gaps for all months; the first photos come with them.
 * @param {object} filters
 * @param {AbortSignal} signal
 * @returns {Promise<{items: import("./feed.js").Item[], total: number}>}
 */
export async function timeline(filters, signal) {
  const [{ months }, { photos }] = await Promise.all([
    api.timeline(filters, signal),
    api.stretch({ ...filters, start: 0, n: AT_ONCE }, signal),
  ]);
  const items = [];
  let total = 0;
  for (const { month: name, photos: count } of months) {
    items.push({ kind: "line", text: name ? month(name) : say("undated"), month: name ?? "", weak: false });
    items.push(...gaps(total, count));
    total += count;
  }
  fill(items, items.filter((item) => item.kind === "gap" && item.start + item.count <= photos.length), photos, 0);
  return { items, total };
}

/**
 * Fetch a gap, and what follows it as far as one request goes.
 * @param {import("./feed.js").Item[]} items
 * @param {Gap} gap
 * @param {object} filters
 * @param {AbortSignal} signal
 * @returns {Promise<Gap[]>} those that are filled, in their order
 */
export async function fetchGap(items, gap, filters, signal) {
  const wanted = [gap];
  for (let at = items.indexOf(gap) + 1; at < items.length && items[at].kind !== "photo"; at++) {
    const item = items[at];
    if (item.kind !== "gap") continue;
    if (item.start + item.count - gap.start > AT_ONCE) break;
    wanted.push(item);
  }
  const last = wanted.at(-1);
  const { photos } = await api.stretch({ ...filters, start: gap.start, n: last.start + last.count - gap.start }, signal);
  fill(items, wanted, photos, gap.start);
  return wanted;
}

/** Put photos in place of gaps; `first` is the place of the first photo. */
function fill(items, wanted, photos, first) {
  for (const gap of wanted) {
    const from = gap.start - first;
    const found = photos.slice(from, from + gap.count).map((photo, at) => ({
      kind: "photo", photo, place: gap.start + at, probability: null, similarity: null, matches: true, probable: false, explainable: false,
    }));
    items.splice(items.indexOf(gap), 1, ...found);
  }
}

/** @param {number} start @param {number} count @returns {Gap[]} */
function gaps(start, count) {
  const made = [];
  for (let done = 0; done < count; done += AT_ONCE) {
    made.push({ kind: "gap", start: start + done, count: Math.min(AT_ONCE, count - done) });
  }
  return made;
}
