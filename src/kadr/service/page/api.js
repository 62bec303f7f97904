// The service's answers, and its refusals as one kind of error.

import { language } from "./texts.js";

/** @typedef {{said: string[], english: string[], russian: string[]}} Place */
/** @typedef {{id: number, name: string, folder: string, kind: string, width: number, height: number, taken: string | null, camera: string | null, latitude: number | null, longitude: number | null, place: Place | null, copies: number, uploaded: boolean, at: number | null, path?: string | null}} Photo */
/** @typedef {{words: {word: string, effect: number | null}[], heat: number[][] | null}} Explanation */

const BASE = new URL("../api/v1", import.meta.url).pathname; // below whatever path a proxy serves the page

/** status 0: nobody answered. retryAfter: seconds. */
export class ApiError extends Error {
  /**
   * @param {number} status
   * @param {string} detail
   * @param {{retryAfter?: number, type?: string, errors?: {where: string, what: string}[]}} [more]
   */
  constructor(status, detail, { retryAfter = 2, type = "", errors = [] } = {}) {
    super(detail);
    this.status = status;
    this.detail = detail;
    this.retryAfter = retryAfter;
    this.type = type; // of the problem (RFC 9457)
    this.errors = errors;
  }
}

/** Called where the service wants a key. */
export const asks = { forKey: () => {} };

/** @param {number} id @param {number} [longest] CSS pixels of its longest side */
export function thumbnail(id, longest = 160) {
  return `${BASE}/photos/${id}?size=${longest * devicePixelRatio > 330 ? 640 : 320}`;
}

/** @param {number} id */
export const large = (id) => `${BASE}/photos/${id}?size=1600`;
/** @param {number} id */
export const original = (id) => `${BASE}/photos/${id}`;
/** @param {number} id */
export const reviewPicture = (id, size = 1600) => `${BASE}/review/${id}/picture?size=${size}`;

/** @param {object} params @param {AbortSignal} [signal] */
export const timeline = (params, signal) => get("/timeline", params, signal);
/** @param {object} params @param {AbortSignal} [signal] */
export const stretch = (params, signal) => get("/timeline/photos", params, signal);
/** @param {object} params @param {AbortSignal} [signal] */
export const search = (params, signal) => get("/search", params, signal);
/** @param {number} id @param {object} params @param {AbortSignal} [signal] */
export const similar = (id, params, signal) => get(`/similar/${id}`, params, signal);
/** @param {number} id @returns {Promise<Photo>} */
export const facts = (id) => get(`/photos/${id}/facts`, {});
/** @param {number} id @param {string} q @returns {Promise<Explanation>} */
export const explain = (id, q) => get(`/photos/${id}/explain`, { q });
/** One that was uploaded. @param {number} id */
export const bin = () => get("/bin", {});
/** @param {string} entry */
export const binnedPicture = (entry) => `${BASE}/bin/${entry}/picture`;
/** @param {string} entry */
export const restore = (entry) => call(`/bin/${entry}`, { method: "POST" });
export const emptyBin = () => call("/bin", { method: "DELETE" });
export const deletePhoto = (id) => call(`/photos/${id}`, { method: "DELETE" });
export const folders = () => get("/folders", {});
/** @param {{west: number, south: number, east: number, north: number, zoom: number}} part @param {object} filters */
export const map = (part, filters) => get("/map", { ...filters, ...part });
export const land = () => get("/map/land", {});
/** @param {number[]} ids */
export const archive = (ids) => `${BASE}/archive?${ids.map((id) => `photos=${id}`).join("&")}`;
/** @param {number} id @param {string} why */
export const appeal = (id, why) => call(`/review/${id}/appeal`, asJson({ why }));
/** @param {number} [photo] only those that hold it @returns {Promise<{collections: {name: string, photos: number}[]}>} */
export const collections = (photo) => get("/collections", photo === undefined ? {} : { photo });
/** One that is there already stays as it is. @param {string} name */
export const makeCollection = (name) => call(placeOf(name), { method: "PUT" });
/** @param {string} name @param {string} next */
export const renameCollection = (name, next) => call(placeOf(name), asJson({ name: next }, "PATCH"));
/** @param {string} name */
export const deleteCollection = (name) => call(placeOf(name), { method: "DELETE" });
/** @param {string} name @param {{add?: number[], remove?: number[]}} photos */
export const changeCollection = (name, photos) => call(`${placeOf(name)}/photos`, asJson(photos));
export const library = () => get("/library", {});
/** @param {number} n @param {boolean} sample */
export const reviewQueue = (n, sample) => get("/review", sample ? { n, sample } : { n });

/** @param {object} query @param {File[]} pictures @param {AbortSignal} [signal] */
export function searchParts(query, pictures, signal) {
  const body = new FormData();
  body.append("query", JSON.stringify(query));
  for (const picture of pictures) body.append("pictures", picture);
  return call(`/search?lang=${language()}`, { method: "POST", body, signal });
}

/**
 * @param {number} id @param {"allow" | "hide" | "withdraw"} decision @param {string} why
 * @param {number} [alike] the near duplicate whose decision this one follows
 */
export function decide(id, decision, why, alike) {
  return call(`/review/${id}`, asJson({ decision, why, alike }));
}

/** @param {string} key */
export function openSession(key) {
  return call("/session", asJson({ key }));
}

/**
 * XMLHttpRequest: fetch doesn't tell how far an upload is.
 * @param {File[]} files
 * @param {(share: number) => void} onProgress
 * @returns {Promise<{added: Photo[], withheld: number, skipped: {file: number, reason: string}[]}>}
 */
export function upload(files, onProgress) {
  const body = new FormData();
  for (const file of files) body.append("photos", file);
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", `${BASE}/photos`);
    request.upload.onprogress = (event) => onProgress(event.loaded / event.total);
    request.onload = () => {
      const answer = parsed(request.responseText);
      if (request.status < 300) resolve(answer);
      else reject(refusal(request.status, answer, request.getResponseHeader("Retry-After")));
    };
    request.onerror = () => reject(new ApiError(0, ""));
    request.send(body);
  });
}

/** A photo's file. @param {number} id @returns {Promise<Blob>} */
export async function file(id) {
  let response;
  try {
    response = await fetch(original(id));
    if (response.ok) return await response.blob();
  } catch {
    throw new ApiError(0, "");
  }
  throw refusal(response.status, parsed(await response.text()), response.headers.get("Retry-After"));
}

/** Whether an address will be answered; its content isn't waited for. @param {string} address */
export async function check(address) {
  const controller = new AbortController();
  const path = `${address.slice(BASE.length)}&lang=${language()}`;
  let response;
  try {
    response = await fetch(BASE + path, { signal: controller.signal });
  } catch {
    throw new ApiError(0, "");
  }
  if (response.ok) controller.abort();
  else throw refusal(response.status, parsed(await response.text()), response.headers.get("Retry-After"), path);
}

function get(path, params, signal) {
  const query = new URLSearchParams({ lang: language() });
  for (const [name, value] of Object.entries(params)) if (value !== null && value !== "") query.set(name, value);
  return call(`${path}?${query}`, { signal });
}

/** @param {string} name of a collection */
const placeOf = (name) => `/collections/${encodeURIComponent(name)}`;

function asJson(content, method = "POST") {
  return { method, headers: { "Content-Type": "application/json" }, body: JSON.stringify(content) };
}

async function call(path, options) {
  let response;
  try {
    response = await fetch(BASE + path, options);
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new ApiError(0, "");
  }
  const answer = parsed(await response.text());
  if (response.ok) return answer;
  throw refusal(response.status, answer, response.headers.get("Retry-After"), path);
}

function refusal(status, answer, retryAfter, path = "") {
  if (status === 401 && path !== "/session") asks.forKey();
  const { detail = "", type, errors } = answer ?? {};
  return new ApiError(status, detail, { retryAfter: Number(retryAfter) || 2, type, errors });
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null; // a proxy's page, or nothing
  }
}
