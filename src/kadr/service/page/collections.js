// Collections as albums: a cover, a name and a count for each; whoever may write renames and deletes them.

import * as api from "./api.js";
import { ask } from "./ask.js";
import { element, icon } from "./cell.js";
import { messageOf, patiently } from "./errors.js";
import { collectionMessage, FAVOURITES, ordered, titled } from "./membership.js";
import { address, go } from "./state.js";
import { say } from "./texts.js";

/** @typedef {{name: string, photos: number}} Collection */

export class Collections {
  /**
   * @param {HTMLElement} section
   * @param {{rename: HTMLDialogElement, question: HTMLDialogElement}} dialogs
   * @param {{tell: (line: string | null) => void, onChanged: () => void}} listener
   */
  constructor(section, dialogs, listener) {
    this.section = section;
    this.dialogs = dialogs;
    this.listener = listener;
    this.list = section.querySelector("ul");
    this.mayWrite = false;
    /** @type {Collection[]} */
    this.collections = [];
    this.list.addEventListener("click", (event) => this.#click(event));
  }

  get isOpen() {
    return !this.section.hidden;
  }

  async open() {
    if (this.isOpen) return;
    this.section.hidden = false;
    this.section.querySelector("h1").focus({ preventScroll: true });
    scrollTo(0, 0);
    await this.#fetch();
  }

  close() {
    this.section.hidden = true;
  }

  /** @param {boolean} mayWrite */
  allow(mayWrite) {
    this.mayWrite = mayWrite;
    this.translate();
  }

  /** In another language. */
  translate() {
    if (this.isOpen) this.#show();
  }

  async #fetch() {
    try {
      ({ collections: this.collections } = await patiently(() => api.collections(), this.listener.tell));
      this.#show();
    } catch (error) {
      this.listener.tell(messageOf(error));
    }
  }

  #show() {
    this.list.replaceChildren(...ordered(this.collections).map((one) => album(one, this.mayWrite)));
    const { length: n } = this.collections;
    this.section.querySelector(".count").textContent = n ? say("collectionCount", { n }) : say(this.mayWrite ? "noCollections" : "noCollectionsYet");
  }

  #click(event) {
    const { name } = event.target.closest("li")?.dataset ?? {};
    if (name === undefined) return;
    if (event.target.closest(".rename")) this.#rename(name);
    else if (event.target.closest(".delete")) this.#delete(name);
    else if (event.target.closest("a") && !(event.ctrlKey || event.metaKey || event.shiftKey)) {
      event.preventDefault();
      go(stateOf(name));
    }
  }

  async #rename(name) {
    const title = await ask(this.dialogs.rename, say("renameCollection", { name }), name);
    if (title === null || title === name) return;
    await this.#change(() => api.renameCollection(name, title), say("collectionRenamed", { name: title }));
  }

  async #delete(name) {
    const title = titled(name);
    if ((await ask(this.dialogs.question, say("deleteCollection", { name: title }))) === null) return;
    await this.#change(() => api.deleteCollection(name), say("collectionDeleted", { name: title }));
  }

  async #change(change, said) {
    try {
      await change();
      this.listener.tell(said);
    } catch (error) {
      this.listener.tell(collectionMessage(error));
    }
    this.listener.onChanged();
    await this.#fetch();
    this.section.querySelector("h1").focus(); // the button that was pressed is gone
  }
}

function stateOf(collection) {
  return { q: "", like: null, picture: null, filters: { collection }, photo: null, view: null };
}

function picture(cover) {
  const image = document.createElement("img");
  image.alt = "";
  image.loading = "lazy";
  image.onload = () => image.classList.add("loaded");
  image.src = api.thumbnail(cover, 320);
  return image;
}

function album({ name, photos, cover }, mayWrite) {
  const made = element("li", "");
  made.dataset.name = name;
  const link = element("a", "album");
  link.href = address(stateOf(name));
  link.append(cover === null ? element("span", "cover") : picture(cover), element("span", "album-name", titled(name)), element("span", "album-count", say("photoCount", { n: photos })));
  made.append(link);
  if (mayWrite) made.append(tools(name));
  return made;
}

function tools(name) {
  const made = element("div", "album-tools");
  if (name !== FAVOURITES) made.append(tool("rename", say("renameCollection", { name })));
  made.append(tool("delete", say("deleteCollection", { name: titled(name) })));
  return made;
}

function tool(kind, label) {
  const made = element("button", kind);
  made.type = "button";
  made.title = label;
  made.setAttribute("aria-label", label);
  made.append(icon(kind));
  return made;
}
