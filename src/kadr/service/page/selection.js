// Many photos at once: which are chosen, and the bar that says what can be done with them.

import * as api from "./api.js";
import { messageOf } from "./errors.js";
import { copy } from "./share.js";
import { read } from "./state.js";
import { say } from "./texts.js";

/** What the service puts into one archive. */
const MOST = 500;
const LONG_PRESS_MS = 450;
/** Pixels that a resting finger may move. */
const RESTING = 10;

export class Selection {
  /**
   * @param {import("./grid.js").Grid} grid
   * @param {HTMLElement} bar
   * @param {HTMLDialogElement} dialog that asks why a person should look again
   * @param {{tell: (line: string | null) => void, items: () => import("./feed.js").Item[], onCollect: (photos: number[]) => void, onTakeOut: (name: string, photos: number[]) => void}} listener
   */
  constructor(grid, bar, dialog, listener) {
    this.grid = grid;
    this.bar = bar;
    this.dialog = dialog;
    this.listener = listener;
    /** In the order in which they were chosen. @type {Map<number, api.Photo>} */
    this.photos = new Map();
    /** Where a range begins: a photo's id. @type {number | null} */
    this.anchor = null;
    this.part = (name) => bar.querySelector(`.${name}`);
    this.#listen();
  }

  get isActive() {
    return this.photos.size > 0;
  }

  /** Mark a cell that is drawn. @param {HTMLElement} cell @param {import("./feed.js").Item} item */
  mark(cell, item) {
    if (item.kind !== "photo") return;
    const isChosen = this.photos.has(item.photo.id);
    cell.classList.toggle("chosen", isChosen);
    cell.querySelector(".check")?.setAttribute("aria-pressed", String(isChosen));
  }

  /** Choose a photo, or no longer; with `isRange` all from the last one on. @param {number} index */
  toggle(index, isRange = false) {
    const items = this.listener.items();
    const item = items[index];
    if (item?.kind !== "photo") return;
    const from = isRange ? items.findIndex((one) => one.kind === "photo" && one.photo.id === this.anchor) : -1;
    if (from >= 0) {
      for (const one of items.slice(Math.min(from, index), Math.max(from, index) + 1)) this.#add(one);
    } else if (!this.photos.delete(item.photo.id)) this.#add(item);
    this.anchor = item.photo.id;
    this.#show();
  }

  clear() {
    if (!this.isActive) return;
    this.photos.clear();
    this.anchor = null;
    this.#show();
  }

  /** What the visitor may do. @param {boolean} mayReview @param {boolean} mayWrite */
  allow(mayReview, mayWrite) {
    this.part("to-people").hidden = !mayReview;
    this.part("collect").hidden = !mayWrite;
    this.#show();
  }

  /** In another language. */
  translate() {
    this.#show();
  }

  #add(item) {
    if (item.kind === "photo") this.photos.set(item.photo.id, item.photo);
  }

  #show() {
    this.bar.hidden = !this.isActive;
    document.body.classList.toggle("selecting", this.isActive);
    this.part("how-many").textContent = say("selected", { n: this.photos.size });
    this.part("take-out").hidden = this.part("collect").hidden || !read().filters.collection;
    this.grid.mark();
  }

  #listen() {
    this.part("names").addEventListener("click", () => this.#copyNames());
    this.part("zip").addEventListener("click", () => this.#download());
    this.part("to-people").addEventListener("click", () => this.dialog.showModal());
    this.part("collect").addEventListener("click", () => this.listener.onCollect([...this.photos.keys()]));
    this.part("take-out").addEventListener("click", () => this.listener.onTakeOut(read().filters.collection, [...this.photos.keys()]));
    this.part("none").addEventListener("click", () => this.clear());
    this.dialog.querySelector("form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.dialog.close();
      this.#handOver(this.dialog.querySelector("input").value.trim());
    });
    this.dialog.querySelector(".cancel").addEventListener("click", () => this.dialog.close());
    this.#listenToLongPresses();
  }

  #listenToLongPresses() {
    const { list } = this.grid;
    let timer = 0;
    let from = { x: 0, y: 0 };
    let isDone = false;
    list.addEventListener("pointerdown", (event) => {
      isDone = false;
      const index = event.target.closest(".cell")?.dataset.index;
      if (event.pointerType !== "touch" || index === undefined) return;
      from = { x: event.clientX, y: event.clientY };
      timer = setTimeout(() => {
        isDone = true;
        this.toggle(Number(index));
      }, LONG_PRESS_MS);
    });
    list.addEventListener("pointermove", ({ clientX, clientY }) => {
      if (Math.hypot(clientX - from.x, clientY - from.y) > RESTING) clearTimeout(timer);
    });
    for (const end of ["pointerup", "pointercancel"]) list.addEventListener(end, () => clearTimeout(timer));
    list.addEventListener("contextmenu", (event) => {
      if (event.pointerType === "touch") event.preventDefault();
    });
    list.addEventListener("click", (event) => {
      if (!isDone) return;
      isDone = false;
      event.preventDefault(); // the finger that chose it is lifted
      event.stopImmediatePropagation();
    }, { capture: true });
  }

  async #copyNames() {
    const names = [...this.photos.values()].map(({ name }) => name);
    const outcome = await copy(names.join("\n"));
    this.listener.tell(outcome === "copied" ? say("namesCopied", { n: names.length }) : say("notCopied"));
  }

  async #download() {
    if (this.photos.size > MOST) {
      this.listener.tell(say("tooManyChosen", { most: MOST }));
      return;
    }
    const address = api.archive([...this.photos.keys()]);
    try {
      await api.check(address);
    } catch (error) {
      this.listener.tell(error.status === 413 ? error.detail : messageOf(error));
      return;
    }
    const link = document.createElement("a");
    link.href = address;
    link.download = "photos.zip";
    link.click();
  }

  async #handOver(why) {
    const photos = [...this.photos.keys()];
    try {
      for (const photo of photos) await api.appeal(photo, why);
      this.clear();
      this.listener.tell(say("handedOver", { n: photos.length }));
    } catch (error) {
      this.listener.tell(messageOf(error));
    }
  }
}
