// Which photos are in which collections, and what goes wrong there in words.

import * as api from "./api.js";
import { messageOf } from "./errors.js";
import { say } from "./texts.js";

/** The collection that the star puts photos into. */
export const FAVOURITES = "favourites";
/** What the service takes in one request. */
const AT_ONCE = 1000;
const REASONS = { 404: "collectionGone", 409: "collectionRefused", 422: "collectionName" };

/** What people read for a collection's name. @param {string} name */
export function titled(name) {
  return name === FAVOURITES ? say("favourites") : name;
}

/** Favourites first, the others as they come. @template {{name: string}} T @param {T[]} collections @returns {T[]} */
export function ordered(collections) {
  const place = ({ name }) => (name === FAVOURITES ? 0 : 1);
  return collections.toSorted((one, other) => place(one) - place(other));
}

/** The name that people mean by what they wrote. @param {string} title */
export function nameOf(title) {
  return title.toLowerCase() === say("favourites").toLowerCase() ? FAVOURITES : title;
}

/** One line that says what to do; null where something else on the page says it. @param {unknown} error */
export function collectionMessage(error) {
  const reason = error instanceof api.ApiError ? REASONS[error.status] : null;
  return reason ? say(reason) : messageOf(error);
}

/** Put photos into a collection, which is made where there is none. @param {string} name @param {number[]} photos */
export async function putIn(name, photos) {
  await api.makeCollection(name);
  for (const some of parts(photos)) await api.changeCollection(name, { add: some });
}

/** @param {string} name @param {number[]} photos */
export async function takeOut(name, photos) {
  for (const some of parts(photos)) await api.changeCollection(name, { remove: some });
}

/** @param {number[]} photos */
function* parts(photos) {
  for (let from = 0; from < photos.length; from += AT_ONCE) yield photos.slice(from, from + AT_ONCE);
}
