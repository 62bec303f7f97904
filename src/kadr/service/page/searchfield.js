// The field that answers as one types.

import { go, read } from "./state.js";

const PAUSE_MS = 200;

export class SearchField {
  /** @param {HTMLFormElement} form @param {HTMLInputElement} input @param {HTMLButtonElement} clear */
  constructor(form, input, clear) {
    this.input = input;
    this.clear = clear;
    this.timer = 0;
    /** Whether the present words came by typing: typing on leaves no further step to go back to. */
    this.isTyping = false;
    input.addEventListener("input", () => {
      clear.hidden = !input.value;
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.#search(), PAUSE_MS);
    });
    input.addEventListener("blur", () => {
      if (this.timer) this.#search();
      this.isTyping = false;
    });
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#search();
      go({}, { replace: true }); // what failed before is asked once more
      this.isTyping = false;
    });
    clear.addEventListener("click", () => {
      this.set("");
      input.focus();
    });
  }

  /** Follow the address, unless somebody is typing. @param {string} q */
  show(q) {
    if (this.timer === 0 && this.input.value.trim() !== q) {
      this.input.value = q;
      this.isTyping = false;
    }
    this.clear.hidden = !this.input.value;
  }

  /** Other words from outside. @param {string} q */
  set(q) {
    clearTimeout(this.timer);
    this.timer = 0;
    this.input.value = q;
    this.isTyping = false;
    go({ q });
  }

  focus() {
    this.input.focus();
    this.input.select();
  }

  #search() {
    clearTimeout(this.timer);
    this.timer = 0;
    const q = this.input.value.trim();
    if (q === read().q) return;
    go({ q, view: null }, { replace: this.isTyping });
    this.isTyping = true;
  }
}
