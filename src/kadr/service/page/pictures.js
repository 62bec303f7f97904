// A picture as a question: dropped, pasted or chosen.

import { element, icon } from "./cell.js";
import { thumbnail } from "./api.js";
import { go } from "./state.js";
import { say } from "./texts.js";

export class Pictures {
  /**
   * @param {HTMLElement} place in the search bar, for what is looked for besides words
   * @param {HTMLElement} curtain shown while something is dragged over the page
   * @param {HTMLInputElement} chooser
   * @param {() => void} onRemoved
   */
  constructor(place, curtain, chooser, onRemoved) {
    this.place = place;
    this.onRemoved = onRemoved;
    /** The address of the picture's thumbnail; it holds memory until it is given back. */
    this.address = "";
    this.picture = /** @type {File | null} */ (null);
    /** Endings of files that the service reads and browsers don't know. @type {string[]} */
    this.suffixes = [];
    chooser.addEventListener("change", () => {
      this.#ask(chooser.files);
      chooser.value = ""; // the same one may be chosen again
    });
    document.addEventListener("paste", (event) => {
      if (this.#ask(event.clipboardData?.files)) event.preventDefault();
    });
    this.#listenToDrops(curtain);
  }

  /** @param {import("./state.js").State} state */
  show({ like, picture }) {
    if (picture !== this.picture) {
      URL.revokeObjectURL(this.address);
      this.address = picture ? URL.createObjectURL(picture) : "";
      this.picture = picture;
    }
    this.place.replaceChildren(
      ...(like === null ? [] : [this.#chip(thumbnail(like), say("likeThis"), { like: null })]),
      ...(picture ? [this.#chip(this.address, say("yourPicture"), { picture: null })] : []),
    );
  }

  #chip(source, text, change) {
    const chip = element("button", "picture-chip");
    chip.type = "button";
    chip.title = say("without", { name: text });
    chip.setAttribute("aria-label", say("without", { name: text }));
    const image = document.createElement("img");
    image.alt = "";
    image.onerror = () => image.remove(); // a format that only the service reads
    image.src = source;
    chip.append(image, element("span", "", text), icon("close"));
    chip.addEventListener("click", () => {
      go(change);
      this.onRemoved();
    });
    return chip;
  }

  /** @param {FileList | undefined | null} files @returns {boolean} whether there was a picture */
  #ask(files) {
    const isPicture = ({ type, name }) => type.startsWith("image/") || [".tif", ".tiff", ...this.suffixes].some((one) => name.toLowerCase().endsWith(one));
    const picture = [...(files ?? [])].find(isPicture);
    if (picture) go({ picture, like: null, photo: null, view: null });
    return picture !== undefined;
  }

  #listenToDrops(curtain) {
    const holdsFiles = (event) => event.dataTransfer?.types.includes("Files");
    addEventListener("dragover", (event) => {
      if (!holdsFiles(event)) return;
      event.preventDefault();
      curtain.hidden = false;
    });
    addEventListener("dragleave", (event) => {
      if (!event.relatedTarget) curtain.hidden = true; // it left the window
    });
    addEventListener("drop", (event) => {
      curtain.hidden = true;
      if (!holdsFiles(event)) return;
      event.preventDefault();
      this.#ask(event.dataTransfer.files);
    });
  }
}
