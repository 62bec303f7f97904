// Folders as albums: a cover, a name and a count for each.

import * as api from "./api.js";
import { element } from "./cell.js";
import { messageOf, patiently } from "./errors.js";
import { address, go } from "./state.js";
import { say } from "./texts.js";

export class Folders {
  /** @param {HTMLElement} section @param {(line: string | null) => void} tell */
  constructor(section, tell) {
    this.section = section;
    this.tell = tell;
    this.list = section.querySelector("ul");
    /** @type {{name: string, photos: number, cover: number}[]} */
    this.folders = [];
    this.list.addEventListener("click", (event) => {
      const link = event.target.closest("a");
      if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      go(stateOf(link.dataset.folder));
    });
  }

  get isOpen() {
    return !this.section.hidden;
  }

  async open() {
    if (this.isOpen) return;
    this.section.hidden = false;
    this.section.querySelector("h1").focus({ preventScroll: true });
    scrollTo(0, 0);
    try {
      ({ folders: this.folders } = await patiently(api.folders, this.tell));
      this.#show();
    } catch (error) {
      this.tell(messageOf(error));
    }
  }

  close() {
    this.section.hidden = true;
  }

  /** In another language. */
  translate() {
    if (this.isOpen) this.#show();
  }

  #show() {
    this.list.replaceChildren(...this.folders.map(album));
    this.section.querySelector(".count").textContent = this.folders.length ? say("folderCount", { n: this.folders.length }) : say("empty");
  }
}

function stateOf(folder) {
  return { q: "", like: null, picture: null, filters: { folder }, photo: null, view: null };
}

function album({ name, photos, cover }) {
  const made = element("li", "");
  const link = element("a", "album");
  link.href = address(stateOf(name));
  link.dataset.folder = name;
  const image = document.createElement("img");
  image.alt = "";
  image.loading = "lazy";
  image.onload = () => image.classList.add("loaded");
  image.src = api.thumbnail(cover, 320);
  const parts = name.split("/");
  link.append(image, element("span", "album-name", parts.at(-1)), element("span", "album-place", parts.slice(0, -1).join(" / ")), element("span", "album-count", say("photoCount", { n: photos })));
  made.append(link);
  return made;
}
