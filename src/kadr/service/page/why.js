// Why a photo was found: light where it fits the text, frames around words that stand in it, and what
// each word adds.

import * as api from "./api.js";
import { element } from "./cell.js";
import { heatLayer, regionLayer } from "./heat.js";
import { say, signed } from "./texts.js";

/** Effects smaller than this tell nothing. */
const TELLING = 0.1;
const KEPT = 100;

/** @type {Map<string, Promise<api.Explanation>>} */
const known = new Map();

/** @param {number} id @param {string} text @returns {Promise<api.Explanation>} */
export function explanation(id, text) {
  const key = `${id} ${text}`;
  if (!known.has(key)) {
    const asked = api.explain(id, text);
    asked.catch(() => known.delete(key));
    known.set(key, asked);
    if (known.size > KEPT) known.delete(known.keys().next().value);
  }
  return known.get(key);
}

/**
 * Lay the heat over a photo, and frames around the query's words that stand in it.
 * @param {HTMLElement} frame what holds the picture
 * @param {import("./feed.js").Hit} item
 * @param {api.Explanation} why
 */
export function layWhy(frame, item, why) {
  const shape = item.photo.width / item.photo.height;
  const heat = why.heat && heatLayer(why.heat, shape);
  if (heat) frame.append(heat);
  const regions = (item.on_record ?? []).flatMap((one) => one.regions);
  if (regions.length) frame.append(regionLayer(regions, shape));
}

/** The words of the text, each with what it adds. @param {api.Explanation} why */
export function wordList(why) {
  const list = element("p", "why-words");
  for (const { word, effect } of why.words) {
    const one = element("span", effect === null || Math.abs(effect) < TELLING ? "none" : effect > 0 ? "up" : "down", word);
    if (effect !== null) one.append(" ", element("b", "", signed(effect)));
    list.append(one, " ");
  }
  return list;
}

/** The same for those who hear the page. @param {api.Explanation} why */
export function spoken(why) {
  if (!why.words.length) return say(why.heat ? "whyNoWords" : "whyNothing");
  const words = why.words.map(({ word, effect }) => (effect === null ? say("wordAlone", { word }) : `${word} ${signed(effect)}`));
  return say("whyWords", { words: words.join(", ") });
}

/**
 * Show it on a photo of the grid, if somebody still looks there.
 * @param {HTMLElement} cell @param {import("./feed.js").Hit} item @param {string} text @param {"hover" | "key"} how
 * @returns {Promise<api.Explanation | null>} null: nobody does
 */
export async function explainCell(cell, item, text, how) {
  const why = await explanation(item.photo.id, text);
  const isStill = how === "hover" ? cell.matches(":hover") : cell.isConnected;
  if (!isStill || cell.querySelector(".why-words")) return null;
  const frame = cell.querySelector(".photo");
  layWhy(frame, item, why);
  frame.append(wordList(why));
  return why;
}

/** Take all of it away again. @param {ParentNode} frame */
export function removeWhy(frame) {
  for (const one of frame.querySelectorAll(".heat, .regions, .why-words")) one.remove();
}
