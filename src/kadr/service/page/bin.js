// The bin: what was deleted, to be restored, or deleted for good.

import * as api from "./api.js";
import { ask } from "./ask.js";
import { element, icon } from "./cell.js";
import { messageOf, patiently } from "./errors.js";
import { localMoment, say } from "./texts.js";

export class Bin {
  /**
   * @param {HTMLElement} section
   * @param {HTMLDialogElement} dialog that asks before it is emptied
   * @param {{tell: (line: string | null) => void, onRestored: () => void}} listener
   */
  constructor(section, dialog, { tell, onRestored }) {
    Object.assign(this, { section, dialog, tell, onRestored });
    this.list = section.querySelector("ul");
    this.emptier = section.querySelector(".empty-bin");
    this.photos = [];
    this.list.addEventListener("click", (event) => this.#restore(event.target.closest("button")));
    this.emptier.addEventListener("click", () => this.#empty());
  }

  get isOpen() {
    return !this.section.hidden;
  }

  async open() {
    if (this.isOpen) return;
    this.section.hidden = false;
    this.section.querySelector("h1").focus({ preventScroll: true });
    scrollTo(0, 0);
    await this.#do(() => patiently(api.bin, this.tell));
  }

  close() {
    this.section.hidden = true;
  }

  /** In another language. */
  translate() {
    if (this.isOpen) this.#show();
  }

  async #restore(button) {
    if (!button) return;
    const { name } = this.photos.find(({ id }) => id === button.dataset.id);
    if (!(await this.#do(() => api.restore(button.dataset.id)))) return;
    this.tell(say("photoBack", { name }));
    (this.list.querySelector("button") ?? this.section.querySelector("h1")).focus();
    this.onRestored();
  }

  async #empty() {
    if ((await ask(this.dialog, say("emptyBinAsk"))) === null) return;
    await this.#do(async () => (await api.emptyBin(), api.bin()));
    this.section.querySelector("h1").focus();
  }

  /** Show what is in the bin then. @param {() => Promise<any>} act @returns {Promise<boolean>} whether it was done */
  async #do(act) {
    try {
      ({ photos: this.photos } = await act());
    } catch (error) {
      this.tell(messageOf(error));
      return false;
    }
    this.#show();
    return true;
  }

  #show() {
    this.list.replaceChildren(...this.photos.map(row));
    this.emptier.hidden = !this.photos.length;
    this.section.querySelector(".count").textContent = this.photos.length ? say("binCount", { n: this.photos.length }) : say("binEmpty");
  }
}

function row({ id, photo, name, folder, deleted }) {
  const made = element("li", "");
  made.append(photo === null ? nothing() : picture(id));
  const said = element("span", "binned");
  said.append(element("span", "binned-name", name), element("span", "binned-place", `${folder} · ${localMoment(deleted)}`));
  const button = element("button", "again", say("restore"));
  button.type = "button";
  button.dataset.id = id;
  button.setAttribute("aria-label", say("restoreOne", { name }));
  made.append(said, button);
  return made;
}

/** What was deleted, small. @param {string} id */
function picture(id) {
  const made = document.createElement("img");
  made.className = "binned-picture";
  made.alt = ""; // its name is beside it
  made.loading = "lazy";
  made.decoding = "async";
  made.onerror = () => made.replaceWith(nothing());
  made.src = api.binnedPicture(id);
  return made;
}

/** In place of a picture that can't be had. */
function nothing() {
  const made = element("span", "binned-picture");
  made.append(icon("broken"));
  return made;
}
