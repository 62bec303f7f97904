// The photos of the present state, page by page, from whichever question brings them.

import * as api from "./api.js";
import { isAbort, patiently, messageOf } from "./errors.js";
import { filtersOf, finished, onlyText, weighted } from "./query.js";
import { percent, say } from "./texts.js";

/** @typedef {{kind: "photo", photo: api.Photo, probability: number | null, similarity: number | null, matches: boolean, on_record: {word: string, source: string}[], explainable: boolean}} Hit similarity null: not searched for */
/** @typedef {{kind: "withheld", notice: string}} Withheld */
/** @typedef {{kind: "line", text: string}} Line */
/** @typedef {Hit | Withheld | Line} Item */
/** @typedef {{title: string, text?: string, command?: string}} Note in place of photos */
/** @typedef {{key: string, items: Item[], next: string | null, summary: string, note: Note | null, scroll: number}} Shown key: the question that it answers */
/**
 * @typedef {object} View where a feed is shown
 * @property {(shown: Shown, fresh: boolean) => void} show
 * @property {(shown: Shown) => void} grow
 * @property {(isLoading: boolean) => void} loading
 * @property {(line: string | null) => void} tell
 * @property {(summary: string) => void} summarise
 */

/** Characters that the service takes in a text; it answers longer ones with an error in English. */
const LONGEST = 300;
const BROWSED = 200;
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
    /** Number of photos in the library, for the line above them. */
    this.total = 0;
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

  /** How many photos the library has. @param {number} total */
  count(total) {
    this.total = total;
    if (!this.page?.photos) return;
    this.shown.summary = this.#summary(this.page);
    this.view.summarise(this.shown.summary);
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
    return this.shown.next !== null && this.shown.items.some((item) => item.kind === "line");
  }

  /** Where a photo is among the items; -1: nowhere. @param {number} id */
  find(id) {
    return this.shown.items.findIndex((item) => item.kind === "photo" && item.photo.id === id);
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
      /** The first one, which the summary is of. */
      this.page = page;
      this.#add(page);
      this.shown.summary = this.#summary(page);
      this.shown.note = this.#note(page);
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
    if (!weighted(q).length && like === null && !picture) {
      const found = await api.photos({ ...filters, ...filtersOf(q), n: BROWSED, cursor }, signal);
      return { ...found, hits: found.photos.map((photo) => ({ kind: "photo", photo, probability: null, similarity: null, matches: true, on_record: [] })) };
    }
    if (like === null && !picture) return api.search({ ...filters, q, n: SEARCHED, cursor }, signal);
    if (!q && !picture) return api.similar(like, { ...filters, n: SEARCHED, cursor }, signal);
    const parts = [
      ...(like === null ? [] : [{ photo: like, weight: 1 }]),
      ...(picture ? [{ picture: 0, weight: 1 }] : []),
      ...weighted(q),
    ];
    return api.searchParts({ parts, n: SEARCHED, cursor, filters: { ...filters, ...filtersOf(q) } }, picture ? [picture] : [], signal);
  }

  /** A page's hits, with a line where those begin that don't match. */
  #add(page) {
    const { items } = this.shown;
    this.shown.next = page.next;
    for (const hit of page.hits) {
      const isWeak = !hit.matches;
      if (isWeak && !items.some((item) => item.kind === "line")) {
        const text = this.#lineText(page);
        items.push({ kind: "line", text });
      }
      items.push({ ...hit, explainable: hit.similarity !== null && this.explained !== null });
    }
    // Once, after the first page: where it stands says nothing of what is withheld.
    if (page === this.page && page.withheld && page.hits.length) items.push({ kind: "withheld", notice: page.withheld });
  }

  #lineText({ matches, withheld, at_least: least }) {
    if (matches) return say("weaker", { least: percent(least ?? 0) });
    return say(withheld ? "nearestShown" : "nearest");
  }

  #summary({ hits, next, photos, refused, matches }) {
    if (refused || !hits.length) return "";
    if (photos) {
      if (!Object.keys(this.state.filters).length) return say("newest", { n: Math.max(this.total, hits.length) });
      return say(next === null ? "filtered" : "filteredMore", { n: hits.length });
    }
    if (!matches) return say("nothingMatches");
    if (hits[0].probability === null) return say("alike");
    const n = hits.filter((hit) => hit.matches).length;
    if (hits[0].on_record.length) return say(next !== null && n === hits.length ? "recordedMore" : "recorded", { n });
    const best = percent(hits[0].probability);
    return say(next !== null && n === hits.length ? "matchesMore" : "matches", { n, best });
  }

  /** @returns {Note | null} */
  #note({ hits, refused, notice, photos, withheld }) {
    if (refused) return { title: say("refused"), text: notice };
    if (hits.length) return null;
    if (Object.keys(this.state.filters).length) return { title: say("nothingFiltered"), text: withheld ?? "" };
    if (photos) return { title: say("empty"), text: say("emptyHint"), command: "kadr index photos" };
    return { title: say("nothing"), text: withheld ?? notice ?? "" };
  }
}

/** @param {string} key @returns {Shown} */
function nothing(key) {
  return { key, items: [], next: null, summary: "", note: null, scroll: 0 };
}

/** What decides which photos are shown. @param {import("./state.js").State} state */
function keyOf({ q, like, picture, filters }) {
  const named = picture ? `${picture.name} ${picture.size} ${picture.lastModified}` : "";
  return JSON.stringify([finished(q), like, named, Object.entries(filters)]);
}
