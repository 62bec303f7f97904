// One photo in full screen.

import * as api from "./api.js";
import { caption, element } from "./cell.js";
import { factList } from "./facts.js";
import { messageOf } from "./errors.js";
import { beside } from "./gridkeys.js";
import { letter } from "./keys.js";
import { layPlay } from "./film.js";
import { fillFrame, sharpen } from "./largepicture.js";
import { cameFromInside, go, read } from "./state.js";
import { describe, say } from "./texts.js";
import { share } from "./share.js";
import { explanation, layWhy, removeWhy, spoken, wordList } from "./why.js";
import { Zoom } from "./zoom.js";

const NOTE_MS = 3000;

/**
 * @typedef {object} Listener
 * @property {(index: number) => void} onClosed
 * @property {(photo: api.Photo | null) => void} onShown null: there is none, or it can't be seen
 * @property {() => void} onFavourite
 * @property {() => void} onCollect
 * @property {(text: string) => void} say
 * @property {() => void} onHelp
 */

export class Viewer {
  /**
   * @param {HTMLDialogElement} dialog
   * @param {import("./feed.js").Feed} feed
   * @param {Listener} listener
   */
  constructor(dialog, feed, listener) {
    this.dialog = dialog;
    this.feed = feed;
    this.listener = listener;
    /** @type {api.Photo | null} */
    this.photo = null;
    this.isExplaining = false;
    this.part = (name) => dialog.querySelector(`.${name}`);
    this.zoom = new Zoom(this.part("stage"), this.part("frame"), {
      onZoomed: (scale) => this.photo && sharpen(this.part("frame"), this.photo, scale, () => this.photo),
      onSwipe: (step) => this.#step(step),
    });
    this.#listen();
  }

  /** Follow the state: open, go on, or close. @param {number | null} id */
  async follow(id) {
    if (id === null) {
      this.#close();
      return;
    }
    if (!this.dialog.open) {
      this.dialog.showModal();
      this.dialog.focus(); // else the first button would be, with a ring around it
    }
    if (this.photo?.id === id) return;
    const item = this.feed.shown.items[this.feed.find(id)];
    if (item) this.#show(item);
    else await this.#fetch(id);
  }

  /** The photos around may have come. */
  refresh() {
    const at = this.photo ? this.feed.find(this.photo.id) : -1;
    const item = this.feed.shown.items[at];
    if (item && this.dialog.open) this.#tellFit(item);
    this.part("previous").hidden = this.#beside(-1) < 0;
    this.part("next").hidden = this.#beside(1) < 0;
  }

  /** In another language. */
  translate() {
    if (this.photo) this.#tellFacts(this.photo);
    this.refresh();
  }

  #listen() {
    const { dialog } = this;
    dialog.addEventListener("cancel", (event) => {
      event.preventDefault();
      this.#leave();
    });
    dialog.addEventListener("keydown", (event) => this.#key(event));
    this.part("close").addEventListener("click", () => this.#leave());
    this.part("previous").addEventListener("click", () => this.#step(-1));
    this.part("next").addEventListener("click", () => this.#step(1));
    this.part("why").addEventListener("click", () => this.#toggleWhy());
    this.part("like").addEventListener("click", (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      this.#like();
    });
    this.part("stage").addEventListener("click", (event) => {
      if (event.target === this.part("stage") && this.zoom.scale === 1) this.#leave(); // else it was dragged
    });
    this.part("share").addEventListener("click", () => this.#share());
    this.part("info").addEventListener("click", () => this.#toggleInfo());
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const act = {
      ArrowLeft: () => this.#step(-1),
      ArrowRight: () => this.#step(1),
      e: () => this.#toggleWhy(),
      m: () => this.#like(),
      i: () => this.#toggleInfo(),
      f: () => this.listener.onFavourite(),
      c: () => this.listener.onCollect(),
      "+": () => this.zoom.step(1),
      "=": () => this.zoom.step(1),
      "-": () => this.zoom.step(-1),
      0: () => this.zoom.reset(),
      "?": () => this.listener.onHelp(),
    }[letter(event)];
    if (!act) return;
    event.preventDefault();
    event.stopPropagation();
    act();
  }

  /** @param {import("./feed.js").Hit} item */
  #show(item) {
    this.#showPhoto(item.photo);
    this.#tellFit(item);
    this.refresh();
    if (this.isExplaining) this.#explain();
    this.#readAhead();
  }

  async #fetch(id) {
    this.photo = null;
    this.listener.onShown(null);
    const isWanted = () => read().photo === id;
    try {
      const photo = await api.facts(id);
      if (!isWanted()) return;
      this.#showPhoto(photo);
      this.refresh();
    } catch (error) {
      if (!isWanted()) return;
      const isUnknown = error instanceof api.ApiError && error.status === 404;
      this.#showNotice(isUnknown ? say("noSuchPhoto") : (messageOf(error) ?? ""));
    }
  }

  #showPhoto(photo) {
    this.photo = photo;
    this.zoom.reset();
    const frame = this.part("frame");
    removeWhy(this.dialog);
    frame.hidden = false;
    this.part("notice").hidden = true;
    this.part("panel").hidden = false;
    fillFrame(frame, photo, () => this.#showNotice(say("unreadable"), photo));
    layPlay(frame, photo, (text) => this.note(text));
    this.part("caption-place").replaceChildren();
    this.part("like").href = `?like=${photo.id}`;
    this.part("original").href = this.part("download").href = api.original(photo.id);
    this.part("download").download = photo.name;
    this.#tellFacts(photo);
    this.#fetchPath(photo);
    this.listener.onShown(photo);
  }

  /** @param {string} text @param {api.Photo | null} photo whose facts stay */
  #showNotice(text, photo = null) {
    this.part("frame").hidden = true;
    this.part("panel").hidden = !photo;
    this.part("notice").hidden = false;
    this.part("notice").textContent = text;
    this.part("previous").hidden = this.part("next").hidden = !photo;
  }

  #tellFit(item) {
    const captions = item.similarity === null ? [] : [caption(item)];
    this.part("caption-place").replaceChildren(...captions);
    this.part("why").hidden = !item.explainable;
  }

  #tellFacts(photo) {
    this.dialog.setAttribute("aria-label", describe(photo));
    this.part("name").textContent = photo.name;
    this.part("facts").replaceChildren(...factList(photo));
  }

  /** The service tells where the file lies only to who is at its machine. */
  async #fetchPath(photo) {
    try {
      const { path } = await api.facts(photo.id);
      if (path && photo === this.photo) this.#tellFacts(Object.assign(photo, { path }));
    } catch {
      // The photo's own request tells what is wrong.
    }
  }

  async #share() {
    const { photo } = this;
    if (!photo) return;
    const outcome = await share(new URL(`?photo=${photo.id}`, location.href).href, photo.name);
    if (outcome && outcome !== "shared") this.note(say(outcome === "copied" ? "linkCopied" : "notCopied"));
  }

  /** Where there is no room beside the photo, what is known of it lies in a sheet that opens. */
  #toggleInfo() {
    const isOpen = this.dialog.classList.toggle("told");
    this.part("info").setAttribute("aria-expanded", String(isOpen));
  }

  #toggleWhy() {
    if (this.part("why").hidden) {
      this.note(say("whyOnlyText"));
      return;
    }
    this.isExplaining = !this.isExplaining;
    this.part("why").setAttribute("aria-pressed", String(this.isExplaining));
    if (!this.isExplaining) {
      removeWhy(this.dialog);
      return;
    }
    if (this.part("info").checkVisibility() && !this.dialog.classList.contains("told")) this.#toggleInfo(); // the words lie there
    this.#explain();
  }

  async #explain() {
    const { photo } = this;
    const text = this.feed.explained;
    if (!photo || text === null) return;
    try {
      const why = await explanation(photo.id, text);
      if (photo !== this.photo || !this.isExplaining) return;
      removeWhy(this.dialog);
      const item = this.feed.shown.items[this.feed.find(photo.id)];
      layWhy(this.part("frame"), { ...item, photo }, why);
      this.part("caption-place").append(wordList(why));
      this.listener.say(spoken(why));
    } catch (error) {
      this.note(messageOf(error) ?? "");
    }
  }

  /** Say something for a moment. @param {string} text */
  note(text) {
    const said = element("p", "toast", text);
    this.part("stage").append(said);
    setTimeout(() => said.remove(), NOTE_MS);
    this.listener.say(text);
  }

  #like() {
    if (this.photo) go({ q: "", picture: null, like: this.photo.id, photo: null });
  }

  /** Where the photo beside is, or the gap that holds it; -1: there is none. */
  #beside(step) {
    const from = this.photo ? this.feed.find(this.photo.id) : -1;
    return from < 0 ? -1 : beside(this.feed.shown.items, from, step);
  }

  async #step(step) {
    const gap = this.feed.shown.items[this.#beside(step)];
    if (gap?.kind === "gap") await this.feed.fill(gap);
    const to = this.#beside(step);
    if (to < 0 || this.feed.shown.items[to].kind === "gap") return;
    go({ photo: this.feed.shown.items[to].photo.id }, { replace: true });
    if (to + 10 > this.feed.shown.items.length) await this.feed.more(false);
    this.refresh();
  }

  /** The next photo should be there before it is asked for. */
  #readAhead() {
    const item = this.feed.shown.items[this.#beside(1)];
    if (item?.kind === "photo") new Image().src = api.large(item.photo.id);
  }

  #leave() {
    if (cameFromInside()) history.back();
    else go({ photo: null }, { replace: true });
  }

  #close() {
    if (!this.dialog.open) return;
    const index = this.photo ? this.feed.find(this.photo.id) : -1;
    this.dialog.close();
    this.photo = null;
    this.listener.onShown(null);
    this.zoom.reset();
    removeWhy(this.dialog);
    this.part("frame").replaceChildren();
    this.listener.onClosed(index);
  }
}
