// What can be done with photos and collections: the star, the dialog, and taking photos out.

import { Collect } from "./collect.js";
import { collectionMessage, takeOut, titled } from "./membership.js";
import { Star } from "./star.js";
import { say } from "./texts.js";

export class Collecting {
  /**
   * @param {{star: HTMLButtonElement, collect: HTMLButtonElement}} buttons of the opened photo
   * @param {HTMLDialogElement} dialog
   * @param {{note: (text: string | null) => void, onChanged: (name: string) => void}} listener onChanged: a collection holds other photos
   */
  constructor(buttons, dialog, listener) {
    this.button = buttons.collect;
    this.listener = listener;
    this.star = new Star(buttons.star, listener);
    this.dialog = new Collect(dialog, listener);
    this.mayWrite = false;
    this.button.addEventListener("click", () => this.addOpened());
  }

  /** @param {boolean} mayWrite */
  allow(mayWrite) {
    this.mayWrite = mayWrite;
    this.star.allow(mayWrite);
    this.follow(this.star.photo);
  }

  /** @param {number | null} photo that is open; null: none is, or it can't be seen */
  follow(photo) {
    this.star.follow(photo);
    this.button.hidden = !this.mayWrite || photo === null;
  }

  /** Make a photo a favourite, or no longer. @param {number | undefined} [photo] the opened one, where none is named */
  favour(photo) {
    this.star.toggle(photo ?? this.star.photo);
  }

  /** Ask which collection the opened photo goes to. */
  addOpened() {
    if (this.star.photo !== null) this.add([this.star.photo]);
  }

  /** @param {number[]} photos @param {() => void} [onDone] */
  add(photos, onDone) {
    if (this.mayWrite) this.dialog.open(photos, onDone);
  }

  /** @param {string} name of the collection @param {number[]} photos @param {() => void} onDone */
  async takeOut(name, photos, onDone) {
    try {
      await takeOut(name, photos);
      onDone();
      this.listener.onChanged(name);
      this.listener.note(say("takenOut", { n: photos.length, name: titled(name) }));
    } catch (error) {
      this.listener.note(collectionMessage(error));
    }
  }
}
