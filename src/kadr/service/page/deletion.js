// Deleting a photo, which goes into the bin, and taking that back.

import * as api from "./api.js";
import { ask } from "./ask.js";
import { messageOf } from "./errors.js";
import { say } from "./texts.js";

export class Deletion {
  /**
   * @param {HTMLButtonElement} button of the opened photo
   * @param {HTMLDialogElement} dialog that asks
   * @param {HTMLElement} offer to undo it
   * @param {{note: (text: string | null) => void, onDeleted: () => void, onRestored: () => void}} listener
   */
  constructor(button, dialog, offer, listener) {
    Object.assign(this, { button, dialog, offer, listener });
    this.mayWrite = false;
    /** @type {api.Photo | null} */
    this.photo = null;
    /** Whether photos that weren't uploaded may be deleted too. */
    this.mayOriginals = false;
    /** The one that was deleted last. @type {api.Photo | null} */
    this.deleted = null;
    /** What lay in the bin before that. @type {Set<string>} */
    this.before = new Set();
    button.addEventListener("click", () => this.#delete());
    offer.querySelector(".undo-delete").addEventListener("click", () => this.#undo());
    offer.querySelector(".plain").addEventListener("click", () => this.#keep(null));
  }

  /** @param {boolean} mayWrite @param {boolean} mayOriginals */
  allow(mayWrite, mayOriginals) {
    this.mayWrite = mayWrite;
    this.mayOriginals = mayOriginals;
    this.follow(this.photo);
  }

  /** @param {api.Photo | null} photo that is open */
  follow(photo) {
    this.photo = photo;
    this.button.hidden = !this.mayWrite || !(photo?.uploaded || (photo && this.mayOriginals));
  }

  /** In another language. */
  translate() {
    this.#keep(this.deleted);
  }

  async #delete() {
    const { photo } = this;
    if (!photo || (await ask(this.dialog, say("deletePhoto", { name: photo.name }))) === null) return;
    try {
      // What lies in the bin already is none of this deletion's: the same photo may have been added again.
      const before = new Set((await api.bin()).photos.map(({ id }) => id));
      await api.deletePhoto(photo.id);
      this.before = before;
      this.#keep(photo);
      this.listener.onDeleted();
    } catch (error) {
      this.listener.note(messageOf(error));
    }
  }

  async #undo() {
    const { deleted } = this;
    this.#keep(null);
    try {
      const { photos } = await api.bin();
      for (const one of photos.filter(({ id, photo }) => photo === deleted.id && !this.before.has(id))) await api.restore(one.id);
      this.listener.note(say("photoBack", { name: deleted.name }));
      this.listener.onRestored();
    } catch (error) {
      this.#keep(deleted); // it may be tried again
      this.listener.note(messageOf(error));
    }
  }

  /** Offer to undo, or no longer. @param {api.Photo | null} photo */
  #keep(photo) {
    this.deleted = photo;
    this.offer.hidden = !photo;
    this.offer.querySelector(".said").textContent = photo ? say("photoDeleted", { name: photo.name }) : "";
  }
}
