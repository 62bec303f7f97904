// The files that are being added: how much of each is sent, and what became of it.

import { element } from "./cell.js";
import { number, say } from "./texts.js";

const MEGABYTE = 1_000_000;

export class UploadList {
  /** @param {HTMLElement} section */
  constructor(section) {
    this.section = section;
    this.list = section.querySelector("ul");
    /** @type {Map<File, {row: HTMLElement, bar: HTMLProgressElement, state: HTMLElement}>} */
    this.rows = new Map();
    section.querySelector("button").addEventListener("click", () => this.#close());
  }

  /** @param {File[]} files */
  start(files) {
    this.rows = new Map(files.map((file) => [file, made(file)]));
    this.list.replaceChildren(...[...this.rows.values()].map(({ row }) => row));
    this.section.hidden = false;
  }

  /** Files are sent one after the other. @param {File[]} batch @param {number} bytes that are sent of all of them */
  progress(batch, bytes) {
    let left = bytes;
    for (const file of batch) {
      const sent = Math.min(Math.max(left, 0), file.size);
      left -= file.size;
      const { bar, state } = this.rows.get(file);
      bar.value = sent;
      state.textContent = sent < file.size ? say("bytesSent", megabytes(sent, file.size)) : say("reading");
    }
  }

  /** What became of a file. @param {File} file @param {string} text @param {boolean} isAdded */
  tell(file, text, isAdded) {
    const { row, bar, state } = this.rows.get(file);
    row.dataset.state = isAdded ? "added" : "failed";
    bar.hidden = true;
    state.textContent = text;
  }

  /** All is said. It stays where there is more to read than the line says. */
  finish() {
    if ([...this.rows.values()].every(({ row }) => row.dataset.state === "added")) this.#close();
  }

  #close() {
    this.section.hidden = true;
  }
}

/** @param {File} file */
function made(file) {
  const row = element("li", "");
  const bar = document.createElement("progress");
  bar.max = file.size || 1;
  bar.value = 0;
  bar.setAttribute("aria-label", file.name);
  const state = element("span", "upload-state", say("bytesSent", megabytes(0, file.size)));
  row.append(element("span", "upload-name", file.name), state, bar);
  return { row, bar, state };
}

function megabytes(sent, all) {
  return { sent: number(sent / MEGABYTE, 1), all: number(Math.max(all / MEGABYTE, 0.1), 1) };
}
