// The star that makes a photo one of the favourites.

import * as api from "./api.js";
import { collectionMessage, FAVOURITES, putIn, takeOut } from "./membership.js";
import { say } from "./texts.js";

export class Star {
  /**
   * @param {HTMLButtonElement} button of the opened photo
   * @param {{note: (text: string | null) => void, onChanged: (name: string) => void}} listener
   */
  constructor(button, listener) {
    this.button = button;
    this.listener = listener;
    /** The photo that is open. @type {number | null} */
    this.photo = null;
    this.isAllowed = false;
    button.addEventListener("click", () => this.toggle(this.photo));
  }

  /** From the next photo on. @param {boolean} mayWrite */
  allow(mayWrite) {
    this.isAllowed = mayWrite;
  }

  /** Tell whether a photo is a favourite. @param {number | null} photo null: none is open, or it can't be seen */
  async follow(photo) {
    this.photo = photo;
    this.button.hidden = !this.isAllowed || photo === null;
    this.#show(false);
    if (this.button.hidden) return;
    try {
      const isIn = await isFavourite(photo);
      if (photo === this.photo) this.#show(isIn);
    } catch {
      // The photo's own request tells what is wrong.
    }
  }

  /** @param {number | null} photo */
  async toggle(photo) {
    if (photo === null || !this.isAllowed) return;
    try {
      const wasIn = await isFavourite(photo);
      await (wasIn ? takeOut(FAVOURITES, [photo]) : putIn(FAVOURITES, [photo]));
      if (photo === this.photo) this.#show(!wasIn);
      this.listener.note(say(wasIn ? "noFavourite" : "nowFavourite"));
      this.listener.onChanged(FAVOURITES);
    } catch (error) {
      this.listener.note(collectionMessage(error));
    }
  }

  #show(isIn) {
    this.button.setAttribute("aria-pressed", String(isIn));
  }
}

/** @param {number} photo */
async function isFavourite(photo) {
  const { collections } = await api.collections(photo);
  return collections.some(({ name }) => name === FAVOURITES);
}
