// Deleting a photo that was uploaded, and taking that back as long as the page still has its file.

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
    /** The deleted photo's file. @type {File | null} */
    this.file = null;
    button.addEventListener("click", () => this.#delete());
    offer.querySelector(".undo-delete").addEventListener("click", () => this.#undo());
    offer.querySelector(".plain").addEventListener("click", () => this.#keep(null));
  }

  /** @param {boolean} mayWrite */
  allow(mayWrite) {
    this.mayWrite = mayWrite;
    this.follow(this.photo);
  }

  /** @param {api.Photo | null} photo that is open */
  follow(photo) {
    this.photo = photo;
    this.button.hidden = !this.mayWrite || !photo?.uploaded;
  }

  /** In another language. */
  translate() {
    this.#keep(this.file);
  }

  async #delete() {
    const { photo } = this;
    if (!photo || (await ask(this.dialog, say("deletePhoto", { name: photo.name }))) === null) return;
    try {
      const content = await api.file(photo.id); // without it nothing could be undone
      await api.deletePhoto(photo.id);
      this.#keep(new File([content], photo.name, { type: content.type }));
      this.listener.onDeleted();
    } catch (error) {
      this.listener.note(messageOf(error));
    }
  }

  async #undo() {
    const { file } = this;
    this.#keep(null);
    try {
      const { withheld } = await api.upload([file], () => {});
      this.listener.note(say(withheld ? "withheldOne" : "photoBack", { name: file.name }));
      this.listener.onRestored();
    } catch (error) {
      this.#keep(file); // it may be tried again
      this.listener.note(messageOf(error));
    }
  }

  /** Offer to undo, or no longer. @param {File | null} file */
  #keep(file) {
    this.file = file;
    this.offer.hidden = !file;
    this.offer.querySelector(".said").textContent = file ? say("photoDeleted", { name: file.name }) : "";
  }
}
