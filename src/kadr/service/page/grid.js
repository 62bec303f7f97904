// The grid: of however many photos, only the rows near the screen are in the document.

import { cell } from "./cell.js";
import { bottom, layOut } from "./layout.js";

/**
 * @typedef {object} Listener
 * @property {() => void} onNearEnd more photos will be needed soon
 * @property {(index: number) => void} onOpen
 * @property {(index: number) => void} onLike
 * @property {(index: number, cell: HTMLElement, how: "hover" | "key") => void} onWhy
 * @property {() => void} onWhyEnd
 * @property {() => void} onLeave the keyboard leaves the grid upwards
 */

const HOVER_MS = 600;

export class Grid {
  /** @param {HTMLElement} list @param {Listener} listener */
  constructor(list, listener) {
    this.list = list;
    this.listener = listener;
    /** @type {import("./feed.js").Item[]} */
    this.items = [];
    /** @type {import("./layout.js").Row[]} */
    this.rows = [];
    this.complete = true;
    /** The item that the keyboard is at. */
    this.current = 0;
    /** @type {Map<number, HTMLElement[]>} */
    this.drawn = new Map();
    this.#listen();
  }

  /** Other items from now on. @param {import("./feed.js").Item[]} items @param {boolean} complete */
  show(items, complete) {
    this.items = items;
    this.complete = complete;
    this.current = Math.max(items.findIndex((item) => item.kind === "photo"), 0);
    this.#layOutAgain();
  }

  /** `items` of `show` has grown. @param {boolean} complete */
  grow(complete) {
    this.complete = complete;
    const last = this.rows.at(-1);
    const first = last ? last.first + last.boxes.length : 0;
    const top = last ? bottom(last) + this.#gapAfter(last) : 0;
    this.rows.push(...layOut(this.items, first, top, this.measures, complete));
    this.#draw();
  }

  /** Bring a photo onto the screen and the keyboard to it. @param {number} index */
  focus(index) {
    const at = this.#rowOf(index);
    if (at < 0) return;
    this.current = index;
    this.#bringIntoView(this.rows[at]);
    this.#draw();
    for (const link of this.list.querySelectorAll("a.photo")) link.tabIndex = -1;
    const link = this.cellOf(index)?.querySelector("a.photo");
    if (!link) return;
    link.tabIndex = 0;
    link.focus({ preventScroll: true });
  }

  /** @param {number} index @returns {HTMLElement | undefined} */
  cellOf(index) {
    return this.list.querySelector(`[data-index="${index}"]`) ?? undefined;
  }

  #measure() {
    const width = this.list.clientWidth;
    const narrow = width < 600;
    const captions = this.items.some((item) => item.kind === "photo" && item.similarity !== null);
    this.measures = {
      width,
      ideal: narrow ? 132 : Math.min(Math.max(width / 6, 170), 240),
      gap: narrow ? 6 : 10,
      caption: captions ? 26 : 0,
    };
  }

  #layOutAgain() {
    const hadFocus = this.list.contains(document.activeElement);
    this.#measure();
    this.rows = layOut(this.items, 0, 0, this.measures, this.complete);
    for (const row of [...this.drawn.keys()]) this.#remove(row);
    this.#draw();
    if (hadFocus) this.focus(this.current);
  }

  /** The width is another one: what is on the screen stays there. */
  #resize() {
    const above = -this.list.getBoundingClientRect().top;
    const seen = this.rows[this.#firstBelow(above)];
    this.#layOutAgain();
    if (!seen || above <= 0) return;
    const now = this.rows[this.#rowOf(seen.first)];
    if (now) scrollBy(0, now.top - seen.top);
  }

  #gapAfter(row) {
    return this.items[row.first].kind === "line" ? 0 : this.measures.gap;
  }

  #listen() {
    let asked = false;
    const soon = () => {
      if (asked) return;
      asked = true;
      requestAnimationFrame(() => {
        asked = false;
        this.#draw();
      });
    };
    addEventListener("scroll", soon, { passive: true });
    addEventListener("resize", soon, { passive: true });
    new ResizeObserver(() => {
      const { clientWidth } = this.list;
      if (this.measures && clientWidth && clientWidth !== this.measures.width) this.#resize();
    }).observe(this.list);
    this.list.addEventListener("click", (event) => this.#click(event));
    this.list.addEventListener("keydown", (event) => this.#key(event));
    this.list.addEventListener("focusin", (event) => {
      const index = indexOf(event.target);
      if (index !== null) this.current = index;
    });
    this.#listenToHover();
  }

  #listenToHover() {
    let timer = 0;
    let over = /** @type {HTMLElement | null} */ (null);
    const leave = () => {
      clearTimeout(timer);
      if (over) this.listener.onWhyEnd();
      over = null;
    };
    this.list.addEventListener("pointerover", (event) => {
      const found = event.pointerType === "mouse" ? event.target.closest(".cell") : null;
      if (found === over) return;
      leave();
      if (!found || !found.dataset.index) return;
      over = found;
      timer = setTimeout(() => this.listener.onWhy(Number(found.dataset.index), found, "hover"), HOVER_MS);
    });
    this.list.addEventListener("pointerleave", leave);
  }

  #click(event) {
    const index = indexOf(event.target);
    // A new tab or window is the browser's business.
    if (index === null || event.ctrlKey || event.metaKey || event.shiftKey) return;
    if (event.target.closest(".why")) this.listener.onWhy(index, this.cellOf(index), "key");
    else if (event.target.closest(".like")) this.listener.onLike(index);
    else if (event.target.closest("a.photo")) this.listener.onOpen(index);
    else return;
    event.preventDefault();
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const to = {
      ArrowRight: () => this.#beside(1),
      ArrowLeft: () => this.#beside(-1),
      ArrowDown: () => this.#above(1),
      ArrowUp: () => this.#above(-1),
      Home: () => this.items.findIndex((item) => item.kind === "photo"),
      End: () => this.items.findLastIndex((item, index) => item.kind === "photo" && this.#rowOf(index) >= 0),
    }[event.key]?.();
    if (to === undefined) return;
    event.preventDefault();
    if (to >= 0) this.focus(to);
    else if (event.key === "ArrowUp") this.listener.onLeave();
  }

  #beside(step) {
    for (let at = this.current + step; at >= 0 && at < this.items.length; at += step) {
      if (this.items[at].kind === "photo") return at;
    }
    return -1;
  }

  /** The photo nearest in the next row that has any. */
  #above(step) {
    const from = this.#rowOf(this.current);
    if (from < 0) return -1;
    const box = this.rows[from].boxes[this.current - this.rows[from].first];
    const middle = box.left + box.width / 2;
    for (let at = from + step; at >= 0 && at < this.rows.length; at += step) {
      const { first, boxes } = this.rows[at];
      const near = boxes
        .map((one, place) => ({ index: first + place, distance: Math.abs(one.left + one.width / 2 - middle) }))
        .filter(({ index }) => this.items[index].kind === "photo")
        .sort((one, other) => one.distance - other.distance);
      if (near.length) return near[0].index;
    }
    return -1;
  }

  #rowOf(index) {
    return this.rows.findLastIndex((row) => row.first <= index && index < row.first + row.boxes.length);
  }

  #bringIntoView(row) {
    const place = this.list.getBoundingClientRect().top + row.top;
    const header = document.querySelector("header").getBoundingClientRect().bottom;
    if (place < header + 8) scrollBy(0, place - header - 8);
    else if (place + row.height > innerHeight - 8) scrollBy(0, place + row.height - innerHeight + 8);
  }

  #draw() {
    if (!this.measures) return;
    const height = bottom(this.rows.at(-1));
    this.list.style.height = `${height}px`;
    const above = -this.list.getBoundingClientRect().top;
    const from = this.#firstBelow(above - innerHeight);
    const to = this.#firstBelow(above + 2 * innerHeight);
    const held = this.list.contains(document.activeElement) ? this.#rowOf(this.current) : -1;
    for (const row of [...this.drawn.keys()]) if ((row < from || row > to) && row !== held) this.#remove(row);
    for (let row = from; row <= to && row < this.rows.length; row++) if (!this.drawn.has(row)) this.#add(row);
    if (!this.list.querySelector('a.photo[tabindex="0"]')) this.#letTabIn();
    if (!this.complete && height - above < 3 * innerHeight) this.listener.onNearEnd();
  }

  /** The first row that ends below this height. */
  #firstBelow(height) {
    let [low, high] = [0, this.rows.length - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (bottom(this.rows[middle]) < height) low = middle + 1;
      else high = middle;
    }
    return Math.max(low, 0);
  }

  /** The Tab key enters where the keyboard was, or at the first photo that is drawn. */
  #letTabIn() {
    const link = this.cellOf(this.current)?.querySelector("a.photo") ?? this.list.querySelector("a.photo");
    if (link) link.tabIndex = 0;
  }

  #add(at) {
    const { top, photo, first, boxes } = this.rows[at];
    const made = boxes.map(({ left, width }, place) => {
      const index = first + place;
      const one = cell(this.items[index], width, photo);
      one.style.transform = `translate(${left}px, ${top}px)`;
      one.style.width = `${width}px`;
      if (this.items[index].kind !== "line") this.#number(one, index);
      return one;
    });
    // In their order, for those who hear the page.
    const after = [...this.drawn.keys()].filter((row) => row > at);
    const before = after.length ? this.drawn.get(Math.min(...after))[0] : null;
    for (const one of made) this.list.insertBefore(one, before);
    this.drawn.set(at, made);
  }

  #number(one, index) {
    one.dataset.index = String(index);
    one.setAttribute("aria-posinset", String(index + 1));
    one.setAttribute("aria-setsize", this.complete ? String(this.items.length) : "-1");
  }

  #remove(at) {
    for (const one of this.drawn.get(at)) {
      one.querySelector("img:not(.loaded)")?.removeAttribute("src"); // nobody waits for it any more
      one.remove();
    }
    this.drawn.delete(at);
  }
}

function indexOf(target) {
  const found = target.closest(".cell")?.dataset.index;
  return found === undefined ? null : Number(found);
}
