// The dialog that puts photos into a collection: those there are, and a field for a new one.

import * as api from "./api.js";
import { element, icon } from "./cell.js";
import { collectionMessage, nameOf, ordered, putIn, takeOut, titled } from "./membership.js";
import { say } from "./texts.js";

export class Collect {
  /**
   * @param {HTMLDialogElement} dialog
   * @param {{note: (text: string | null) => void, onChanged: (name: string) => void}} listener
   */
  constructor(dialog, listener) {
    this.dialog = dialog;
    this.listener = listener;
    this.list = dialog.querySelector("ul");
    this.field = dialog.querySelector("input");
    /** @type {number[]} */
    this.photos = [];
    this.onDone = () => {};
    dialog.querySelector("form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#put(nameOf(this.field.value.trim()));
    });
    dialog.querySelector(".cancel").addEventListener("click", () => dialog.close());
    this.list.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (!button) return;
      if (button.getAttribute("aria-pressed") === "true") this.#take(button.dataset.name);
      else this.#put(button.dataset.name);
    });
  }

  /** Ask where to. @param {number[]} photos @param {() => void} [onDone] they are there */
  async open(photos, onDone = () => {}) {
    if (this.dialog.open) return;
    try {
      const [{ collections }, held] = await Promise.all([api.collections(), photos.length === 1 ? api.collections(photos[0]) : null]);
      Object.assign(this, { photos, onDone });
      const holding = held && new Set(held.collections.map(({ name }) => name));
      this.list.replaceChildren(...ordered(collections).map((one) => row(one, holding)));
      this.list.hidden = !collections.length;
      this.field.value = "";
      this.dialog.showModal();
    } catch (error) {
      this.listener.note(collectionMessage(error));
    }
  }

  #put(name) {
    return this.#change(name, putIn, "collected");
  }

  #take(name) {
    return this.#change(name, takeOut, "takenOut");
  }

  async #change(name, change, said) {
    this.dialog.close();
    try {
      await change(name, this.photos);
      this.onDone();
      this.listener.note(say(said, { n: this.photos.length, name: titled(name) }));
      this.listener.onChanged(name);
    } catch (error) {
      this.listener.note(collectionMessage(error));
    }
  }
}

/** @param {{name: string, photos: number}} collection @param {Set<string> | null} holding those the one photo is in; null: there are several */
function row({ name, photos }, holding) {
  const made = element("li", "");
  const button = element("button", "");
  button.type = "button";
  button.dataset.name = name;
  if (holding) button.setAttribute("aria-pressed", String(holding.has(name)));
  button.append(icon(holding?.has(name) ? "check" : "add"), element("span", "collection-name", titled(name)), element("span", "count", say("photoCount", { n: photos })));
  made.append(button);
  return made;
}
