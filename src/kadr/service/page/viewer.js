// One photo in full screen.

import * as api from "./api.js";
import { caption, element } from "./cell.js";
import { messageOf } from "./errors.js";
import { letter } from "./keys.js";
import { cameFromInside, go, read } from "./state.js";
import { moment, number, say } from "./texts.js";
import { explanation, layHeat, removeWhy, spoken, wordList } from "./why.js";

/** A finger that moves so many pixels sideways turns the page. */
const SWIPE = 60;

export class Viewer {
  /**
   * @param {HTMLDialogElement} dialog
   * @param {import("./feed.js").Feed} feed
   * @param {{onClosed: (index: number) => void, say: (text: string) => void, onHelp: () => void}} listener
   */
  constructor(dialog, feed, listener) {
    this.dialog = dialog;
    this.feed = feed;
    this.listener = listener;
    /** @type {api.Photo | null} */
    this.photo = null;
    this.isExplaining = false;
    this.part = (name) => dialog.querySelector(`.${name}`);
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
      if (event.target === this.part("stage")) this.#leave();
    });
    this.#listenToSwipes();
  }

  #listenToSwipes() {
    let from = /** @type {number | null} */ (null);
    this.part("stage").addEventListener("touchstart", ({ touches }) => {
      from = touches.length === 1 ? touches[0].clientX : null; // two fingers zoom
    }, { passive: true });
    this.part("stage").addEventListener("touchend", ({ changedTouches }) => {
      const moved = from === null ? 0 : changedTouches[0].clientX - from;
      if (Math.abs(moved) > SWIPE) this.#step(moved > 0 ? -1 : 1);
      from = null;
    });
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const act = {
      ArrowLeft: () => this.#step(-1),
      ArrowRight: () => this.#step(1),
      e: () => this.#toggleWhy(),
      m: () => this.#like(),
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
    const frame = this.part("frame");
    removeWhy(this.dialog);
    frame.hidden = false;
    this.part("notice").hidden = true;
    this.part("panel").hidden = false;
    frame.style.setProperty("--shape", String(photo.width / photo.height || 4 / 3));
    frame.style.setProperty("--natural", `${photo.width}px`);
    frame.style.backgroundImage = `url("${api.thumbnail(photo.id, 640)}")`; // until the large one is there
    const image = document.createElement("img");
    image.alt = photo.name;
    image.draggable = false;
    image.onerror = () => this.#showNotice(say("unreadable"), photo);
    image.src = api.large(photo.id);
    frame.replaceChildren(image);
    this.part("caption-place").replaceChildren();
    this.part("like").href = `/?like=${photo.id}`;
    this.part("original").href = api.original(photo.id);
    this.#tellFacts(photo);
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
    this.dialog.setAttribute("aria-label", photo.name);
    this.part("name").textContent = photo.name;
    const copies = photo.copies ? ` ${say("copies", { n: photo.copies })}` : "";
    const facts = [
      ["taken", photo.taken && moment(photo.taken)],
      ["camera", photo.camera],
      ["folder", photo.folder + copies],
      ["size", say("pixels", { width: number(photo.width), height: number(photo.height), kind: photo.kind.toUpperCase() })],
    ];
    this.part("facts").replaceChildren(
      ...facts.filter(([, value]) => value).flatMap(([key, value]) => [element("dt", "", say(key)), element("dd", "", value)]),
    );
  }

  #toggleWhy() {
    if (this.part("why").hidden) {
      this.#note(say("whyOnlyText"));
      return;
    }
    this.isExplaining = !this.isExplaining;
    this.part("why").setAttribute("aria-pressed", String(this.isExplaining));
    if (this.isExplaining) this.#explain();
    else removeWhy(this.dialog);
  }

  async #explain() {
    const { photo } = this;
    const text = this.feed.explained;
    if (!photo || text === null) return;
    try {
      const why = await explanation(photo.id, text);
      if (photo !== this.photo || !this.isExplaining) return;
      removeWhy(this.dialog);
      layHeat(this.part("frame"), photo, why);
      this.part("caption-place").append(wordList(why));
      this.listener.say(spoken(why));
    } catch (error) {
      this.#note(messageOf(error) ?? "");
    }
  }

  #note(text) {
    const said = element("p", "why-words", text);
    removeWhy(this.part("caption-place"));
    this.part("caption-place").append(said);
    this.listener.say(text);
  }

  #like() {
    if (this.photo) go({ q: "", picture: null, like: this.photo.id, photo: null });
  }

  #beside(step) {
    const { items } = this.feed.shown;
    const from = this.photo ? this.feed.find(this.photo.id) : -1;
    for (let at = from + step; from >= 0 && at >= 0 && at < items.length; at += step) {
      if (items[at].kind === "photo") return at;
    }
    return -1;
  }

  async #step(step) {
    const to = this.#beside(step);
    if (to < 0) return;
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
    removeWhy(this.dialog);
    this.part("frame").replaceChildren();
    this.listener.onClosed(index);
  }
}
