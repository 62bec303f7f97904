// The years at the right: a place on the rail is a place in time.

import { say } from "./texts.js";

/** Pixels between two years that are written. */
const APART = 22;
const RESTING_MS = 1200;

export class Scrubber {
  /** @param {HTMLElement} rail @param {import("./grid.js").Grid} grid */
  constructor(rail, grid) {
    this.rail = rail;
    this.grid = grid;
    this.bubble = rail.querySelector(".bubble");
    this.years = rail.querySelector(".years");
    /** @type {{item: import("./feed.js").Line, top: number}[]} */
    this.months = [];
    this.#listen();
  }

  /** Whether photos are by time, and enough of them. @param {boolean} isByTime */
  show(isByTime) {
    this.months = isByTime ? this.grid.months() : [];
    const isUseful = this.months.length > 1 && this.#range() > innerHeight;
    this.rail.hidden = !isUseful;
    document.body.classList.toggle("timed", isByTime && this.months.length > 1);
    if (!isUseful) return;
    this.#writeYears();
    this.#follow();
  }

  #listen() {
    this.rail.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      this.rail.focus({ preventScroll: true });
      this.rail.setPointerCapture(event.pointerId);
      this.rail.classList.add("held");
      this.#drag(event);
    });
    this.rail.addEventListener("pointermove", (event) => {
      if (this.rail.hasPointerCapture(event.pointerId)) this.#drag(event);
    });
    for (const end of ["pointerup", "pointercancel"]) this.rail.addEventListener(end, () => this.rail.classList.remove("held"));
    this.rail.addEventListener("keydown", (event) => this.#key(event));
    addEventListener("scroll", () => this.#scrolled(), { passive: true });
  }

  #drag({ clientY }) {
    const { top, height } = this.rail.getBoundingClientRect();
    const share = Math.min(Math.max((clientY - top) / height, 0), 1);
    scrollTo(0, share * this.#range());
  }

  #scrolled() {
    if (this.rail.hidden) return;
    this.#follow();
    this.rail.classList.add("moving");
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.rail.classList.remove("moving"), RESTING_MS);
  }

  #key(event) {
    const at = this.#current();
    const year = (one) => this.months[one].item.month.slice(0, 4);
    const last = this.months.length - 1;
    const to = {
      ArrowDown: () => at + 1,
      ArrowUp: () => at - 1,
      PageDown: () => this.months.findIndex((_, one) => one > at && year(one) !== year(at)),
      PageUp: () => this.months.findIndex((_, one) => year(one) === year(Math.max(this.months.findIndex((_, first) => year(first) === year(at)) - 1, 0))),
      Home: () => 0,
      End: () => last,
    }[event.key]?.();
    if (to === undefined) return;
    event.preventDefault();
    const place = to < 0 || to > last ? (event.key === "ArrowUp" ? 0 : last) : to;
    if (event.key === "End") scrollTo(0, this.#range());
    else scrollTo(0, Math.max(this.#pageTop(this.months[place].top), 0));
  }

  /** Where the page must be scrolled to for this height of the grid to be below the header. */
  #pageTop(top) {
    const header = document.querySelector("header").offsetHeight;
    return this.grid.list.getBoundingClientRect().top + scrollY + top - header - 2;
  }

  #range() {
    return document.documentElement.scrollHeight - innerHeight;
  }

  /** Which month is at the top of the screen. */
  #current() {
    const found = this.months.findLastIndex(({ top }) => this.#pageTop(top) <= scrollY + 40);
    return Math.max(scrollY >= this.#range() - 2 ? this.months.length - 1 : found, 0);
  }

  #follow() {
    const { item } = this.months[this.#current()];
    const share = scrollY / Math.max(this.#range(), 1);
    this.bubble.textContent = item.text;
    this.rail.style.setProperty("--at", `${Math.min(Math.max(share, 0), 1) * 100}%`);
    this.rail.setAttribute("aria-valuenow", String(Math.round(share * 100)));
    this.rail.setAttribute("aria-valuetext", item.text);
  }

  #writeYears() {
    const height = this.rail.clientHeight;
    const made = [];
    let [year, below] = ["-", -Infinity];
    for (const { item, top } of this.months) {
      if (item.month.slice(0, 4) === year) continue;
      year = item.month.slice(0, 4);
      const at = Math.min(Math.max(this.#pageTop(top) / this.#range(), 0), 1) * height;
      if (!year || at - below < APART) continue;
      below = at;
      const label = document.createElement("span");
      label.textContent = year;
      label.style.top = `${at}px`;
      made.push(label);
    }
    this.years.replaceChildren(...made);
    this.rail.setAttribute("aria-label", say("years"));
  }
}
