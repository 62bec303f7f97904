// The photos of the present state, page by page, from whichever question brings them.

import * as api from "./api.js";
import { isAbort, patiently, messageOf } from "./errors.js";
import { filtersOf, finished, leftOut, onlyText, weighted } from "./query.js";
import { percent, say } from "./texts.js";
import { fetchGap, timeline } from "./timeline.js";

/** @typedef {{kind: "photo", photo: api.Photo, place?: number, probability: number | null, similarity: number | null, matches: boolean, probable: boolean, on_record: {word: string, source: string, regions: number[][]}[], in_part?: boolean, explainable: boolean}} Hit similarity null: not searched for; place: in the order of time */
/** @typedef {{kind: "line", text: string, weak: boolean, month?: string}} Line weak: what follows doesn't match; month: YYYY-MM, "" of the undated */
/** @typedef {Hit | Line | import("./timeline.js").Gap} Item */
/** @typedef {{title: string, text?: string, command?: string}} Note in place of photos */
/** @typedef {{key: string, items: Item[], next: string | null, summary: string, note: Note | null, withheld: string | null, suggestion: {query: string, after: string, before: string} | null, total: number | null, scroll: number}} Shown key: the question that it answers; withheld: the disclaimer, where the library hides photos; total: of photos by time */
/**
 * @typedef {object} View where a feed is shown
 * @property {(shown: Shown, fresh: boolean) => void} show
 * @property {(shown: Shown) => void} grow
 * @property {(gaps: import("./timeline.js").Gap[]) => void} fill photos are there now in place of these
 * @property {(isLoading: boolean) => void} loading
 * @property {(line: string | null) => void} tell
 */

/** Characters that the service takes in a text; it answers longer ones with an error in English. */
const LONGEST = 300;
const SEARCHED = 40;
/** Answers to go back to at once. */
const KEPT = 8;

export class Feed {
  /** @param {View} view */
  constructor(view) {
    this.view = view;
    this.key = "";
    /** @type {Shown} */
    this.shown = nothing("");
    /** @type {Map<string, Shown>} */
    this.kept = new Map();
    this.controller = new AbortController();
    this.isGrowing = false;
    /** Gaps that are being fetched. @type {Map<import("./timeline.js").Gap, Promise<void>>} */
    this.filling = new Map();
  }

  /**
   * Show what a state asks for; whatever was asked before is no longer waited for.
   * @param {import("./state.js").State} state
   * @param {boolean} isBack whether the answer of last time will do
   */
  async show(state, isBack) {
    const key = keyOf(state);
    if (key === this.key) return;
    this.#keep();
    this.controller.abort();
    this.controller = new AbortController();
    this.isGrowing = false;
    this.key = key;
    this.state = state;
    const kept = this.kept.get(key);
    if (isBack && kept) {
      this.shown = kept;
      this.view.tell(null);
      this.view.loading(false);
      this.view.show(kept, false);
      return;
    }
    await this.#load(this.controller.signal);
  }

  /** Ask again for everything: the library, the key or the language changed. */
  forget() {
    this.key = this.shown.key = "";
    this.kept.clear();
  }

  /** Fetch the photos of a gap. @param {import("./timeline.js").Gap} gap */
  fill(gap) {
    const known = this.filling.get(gap);
    if (known) return known;
    const filled = this.#fill(gap).finally(() => this.filling.delete(gap));
    this.filling.set(gap, filled);
    return filled;
  }

  async #fill(gap) {
    const { shown, state } = this;
    const { signal } = this.controller;
    try {
      const filled = await patiently(() => fetchGap(shown.items, gap, state.filters, signal), this.view.tell, signal);
      if (!signal.aborted) this.view.fill(filled);
    } catch (error) {
      this.#failed(error);
    }
  }

  /** @param {boolean} isAsked by a person; below the line nothing comes by itself */
  async more(isAsked) {
    const { shown } = this;
    if (this.isGrowing || shown.next === null || (this.waits && !isAsked)) return;
    this.isGrowing = true;
    const { signal } = this.controller;
    try {
      const page = await patiently(() => this.#page(shown.next, signal), this.view.tell, signal);
      if (signal.aborted) return;
      this.isGrowing = false; // before the view, which may want still more
      this.#add(page);
      this.view.grow(shown);
    } catch (error) {
      if (signal.aborted) return;
      this.isGrowing = false;
      // After a restart the service no longer knows its cursors.
      if (error instanceof api.ApiError && error.status === 422) this.#again();
      else this.#failed(error);
    }
  }

  /** Whether further photos wait for a person to ask for them. */
  get waits() {
    return this.shown.next !== null && this.shown.items.some((item) => item.kind === "line" && item.weak);
  }

  /** Where a photo is among the items; -1: nowhere. @param {number} id */
  find(id) {
    return this.shown.items.findIndex((item) => item.kind === "photo" && item.photo.id === id);
  }

  /** Whether filters are chosen, or written in the search. */
  get #isFiltered() {
    return Object.keys({ ...this.state.filters, ...filtersOf(finished(this.state.q)) }).length > 0;
  }

  /** The text that explains these photos; null where there is none. */
  get explained() {
    const { like, picture, q } = this.state;
    return like === null && !picture ? onlyText(finished(q)) : null;
  }

  async #load(signal) {
    this.view.loading(true);
    try {
      const page = await patiently(() => this.#page(null, signal), this.view.tell, signal);
      if (signal.aborted) return;
      this.shown = nothing(this.key);
      if (page.items) Object.assign(this.shown, { items: page.items, total: page.total });
      else this.#add(page);
      this.shown.summary = this.#summary(page);
      this.shown.note = this.#note(page);
      this.shown.withheld = this.shown.note ? null : (page.withheld ?? null);
      this.shown.suggestion = page.suggestion ?? null;
      this.view.tell(null);
      this.view.show(this.shown, true);
    } catch (error) {
      if (!signal.aborted) this.key = ""; // asked once more, it may be answered
      this.#failed(error);
    }
    if (signal === this.controller.signal) this.view.loading(false);
  }

  #again() {
    this.forget();
    this.show(this.state, false);
  }

  #failed(error) {
    if (!isAbort(error)) this.view.tell(messageOf(error));
  }

  #keep() {
    const { key } = this.shown;
    if (!key) return;
    this.kept.delete(key);
    this.kept.set(key, { ...this.shown, scroll: scrollY });
    if (this.kept.size > KEPT) this.kept.delete(this.kept.keys().next().value);
  }

  async #page(cursor, signal) {
    const { like, picture, filters } = this.state;
    const q = finished(this.state.q);
    if ([...q].length > LONGEST) throw new api.ApiError(422, say("tooLong", { most: LONGEST }));
    if (!weighted(q).length && !leftOut(q).length && like === null && !picture) {
      return timeline({ ...filters, ...filtersOf(q) }, signal);
    }
    if (like === null && !picture) return api.search({ ...filters, q, n: SEARCHED, cursor }, signal);
    if (!q && !picture) return api.similar(like, { ...filters, n: SEARCHED, cursor }, signal);
    const parts = [
      ...(like === null ? [] : [{ photo: like, weight: 1 }]),
      ...(picture ? [{ picture: 0, weight: 1 }] : []),
      ...weighted(q),
    ];
    return api.searchParts({ parts, n: SEARCHED, cursor, without: leftOut(q), filters: { ...filters, ...filtersOf(q) } }, picture ? [picture] : [], signal);
  }

  /** A page's hits, and lines where others begin: less sure, with most of the words on record, no matches. */
  #add(page) {
    const { items } = this.shown;
    this.shown.next = page.next;
    for (const hit of page.hits) {
      const text = this.#lineAbove(hit, page);
      if (text) items.push({ kind: "line", text, weak: !hit.matches && !hit.in_part });
      items.push({ ...hit, explainable: hit.similarity !== null && this.explained !== null });
    }
  }

  /** What is said between a hit and those before it; empty where they belong together. */
  #lineAbove(hit, page) {
    const { items } = this.shown;
    const before = items.at(-1);
    const isAfterPart = before?.kind === "photo" && before.in_part;
    if (hit.in_part) return isAfterPart ? "" : say("inPart");
    const text = this.#lineText(hit, page);
    if (isAfterPart) return text || say("matching");
    return items.some((item) => item.kind === "line" && item.text === text) ? "" : text;
  }

  /** What stands above a hit and those after it; empty above what is probable, or only alike. */
  #lineText(hit, { matches, withheld, at_least: least }) {
    if (!hit.matches) return matches ? say("weaker", { least: percent(least ?? 0) }) : say(withheld ? "nearestShown" : "nearest");
    return hit.probability === null || hit.probable ? "" : say("maybe");
  }

  #summary({ hits, total, next, refused, matches, notice }) {
    if (total) return say(this.#isFiltered ? "filtered" : "newest", { n: total });
    if (refused || !hits?.length) return "";
    if (notice) return say("notRecorded");
    if (!matches) return say(hits[0].in_part ? "noneProbable" : "nothingMatches");
    if (hits[0].probability === null) return say("alike");
    const isOnRecord = (/** @type {Hit} */ hit) => hit.on_record.length > 0 && !hit.in_part;
    const n = hits.filter((hit) => hit.probable || isOnRecord(hit)).length;
    if (isOnRecord(hits[0])) return say(next !== null && n === hits.length ? "recordedMore" : "recorded", { n });
    if (next !== null && n === hits.length) return say("probableMore", { n });
    return n ? say("probable", { n }) : say("noneProbable");
  }

  /** @returns {Note | null} */
  #note({ hits, total, refused, notice, withheld }) {
    if (refused) return { title: say("refused"), text: notice };
    if (total || hits?.length) return null;
    if (this.#isFiltered) return { title: say("nothingFiltered"), text: withheld ?? "" };
    if (total === 0) return { title: say("empty"), text: say("emptyHint"), command: "kadr index photos" };
    return { title: say("nothing"), text: withheld ?? notice ?? "" };
  }
}

/** @param {string} key @returns {Shown} */
function nothing(key) {
  return { key, items: [], next: null, summary: "", note: null, withheld: null, suggestion: null, total: null, scroll: 0 };
}

/** What decides which photos are shown. @param {import("./state.js").State} state */
function keyOf({ q, like, picture, filters }) {
  const named = picture ? `${picture.name} ${picture.size} ${picture.lastModified}` : "";
  return JSON.stringify([finished(q), like, named, Object.entries(filters)]);
}
