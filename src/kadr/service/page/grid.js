// The grid: of however many photos, only the rows near the screen are in the document.

import { Cells } from "./cells.js";
import { above, beside } from "./gridkeys.js";
import { listenToHover } from "./hover.js";
import { bottom, layOut } from "./layout.js";

/** @typedef {import("./feed.js").Item} Item @typedef {import("./timeline.js").Gap} Gap */
/**
 * @typedef {object} Listener
 * @property {() => void} onNearEnd more photos will be needed soon
 * @property {(gap: Gap) => Promise<void>} onGap its photos are needed
 * @property {() => void} onLaidOut what is shown has other places
 * @property {(index: number, isRange: boolean) => void} onSelect
 * @property {() => boolean} isSelecting whether a click on a photo chooses it
 * @property {(cell: HTMLElement, item: Item) => void} onDrawn
 * @property {(index: number) => void} onOpen
 * @property {(index: number) => void} onLike
 * @property {(index: number, cell: HTMLElement, how: "hover" | "key") => void} onWhy
 * @property {() => void} onWhyEnd
 * @property {() => void} onLeave the keyboard leaves the grid upwards
 */

export class Grid {
  /** @param {HTMLElement} list @param {Listener} listener */
  constructor(list, listener) {
    this.list = list;
    this.listener = listener;
    /** @type {Item[]} */
    this.items = [];
    /** @type {import("./layout.js").Row[]} */
    this.rows = [];
    this.complete = true;
    /** How many photos there are, where not all are items yet. @type {number | null} */
    this.total = null;
    /** The item that the keyboard is at. */
    this.current = 0;
    this.cells = new Cells(list, listener.onDrawn);
    this.#listen();
  }

  /** Other items from now on. @param {Item[]} items @param {boolean} complete @param {number | null} total */
  show(items, complete, total) {
    this.items = items;
    this.complete = complete;
    this.total = total;
    this.current = Math.max(items.findIndex((item) => item.kind === "photo"), 0);
    this.#layOutAgain();
  }

  /** `items` of `show` has grown. @param {boolean} complete */
  grow(complete) {
    this.complete = complete;
    const last = this.rows.at(-1);
    const top = last ? bottom(last) + this.#gapAfter(last) : 0;
    this.rows.push(...layOut(this.items, this.#laidOut, top, this.measures, complete));
    this.#draw();
  }

  /** Photos have come in place of gaps: what is on the screen stays there. @param {Gap[]} gaps */
  fill(gaps) {
    const hadFocus = this.list.contains(document.activeElement);
    const at = hadFocus ? this.cells.itemAt(this.current) : undefined;
    const offset = -this.list.getBoundingClientRect().top;
    const seen = this.rows[this.#firstBelow(offset)];
    this.rows = layOut(this.items, 0, 0, this.measures, this.complete);
    const [top, height] = gaps.includes(seen.item) ? this.#stretch(seen.item) : [this.#topOf(seen.item), seen.height];
    if (offset > 0) scrollBy(0, top - seen.top + ((offset - seen.top) / seen.height) * (height - seen.height));
    this.current = Math.max(at ? this.items.indexOf(at) : this.current, 0);
    this.cells.again(() => this.#draw());
    if (hadFocus) this.focus(this.current);
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

  /** Photos are chosen, or no longer. */
  mark() {
    this.cells.each(this.listener.onDrawn);
  }

  /** @param {number} index @returns {HTMLElement | undefined} */
  cellOf(index) {
    return this.list.querySelector(`[data-index="${index}"]`) ?? undefined;
  }

  /** Where months begin. @returns {{item: import("./feed.js").Line, top: number}[]} pixels from the list's top */
  months() {
    return this.rows.filter(({ item }) => item.kind === "line" && item.month !== undefined).map(({ item, top }) => ({ item, top }));
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
    this.cells.clear();
    this.#draw();
    if (hadFocus) this.focus(this.current);
  }

  /** The width is another one: what is on the screen stays there. */
  #resize() {
    const offset = -this.list.getBoundingClientRect().top;
    const seen = this.rows[this.#firstBelow(offset)];
    this.#layOutAgain();
    if (!seen || offset <= 0) return;
    const now = this.rows[this.#rowOf(seen.first)];
    if (now) scrollBy(0, now.top - seen.top);
  }

  #gapAfter(row) {
    return row.item.kind === "line" ? 0 : this.measures.gap;
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
    listenToHover(this.list, this.listener);
  }

  #click(event) {
    const index = indexOf(event.target);
    // A new tab or window is the browser's business.
    if (index === null || event.ctrlKey || event.metaKey) return;
    const isChoosing = event.target.closest(".check") || this.listener.isSelecting();
    if (event.shiftKey && !isChoosing) return;
    if (isChoosing) this.listener.onSelect(index, event.shiftKey);
    else if (event.target.closest(".why")) this.listener.onWhy(index, this.cellOf(index), "key");
    else if (event.target.closest(".like")) this.listener.onLike(index);
    else if (event.target.closest("a.photo")) this.listener.onOpen(index);
    else return;
    event.preventDefault();
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { items, rows, current } = this;
    const row = this.#rowOf(current);
    const to = {
      ArrowRight: () => beside(items, current, 1),
      ArrowLeft: () => beside(items, current, -1),
      ArrowDown: () => above(items, rows, row, current, 1),
      ArrowUp: () => above(items, rows, row, current, -1),
      Home: () => beside(items, -1, 1),
      End: () => beside(items, this.#laidOut, -1),
    }[event.key]?.();
    if (to === undefined) return;
    event.preventDefault();
    if (to >= 0) this.#goTo(to, ["ArrowLeft", "ArrowUp", "End"].includes(event.key));
    else if (event.key === "ArrowUp") this.listener.onLeave();
  }

  /** To a photo; where it isn't there yet, once it is. */
  async #goTo(index, isFromBelow) {
    const item = this.items[index];
    if (item.kind === "gap") {
      this.#bringIntoView(this.rows[this.#rowOf(index)], isFromBelow);
      await this.listener.onGap(item);
      const place = item.start + (isFromBelow ? item.count - 1 : 0);
      index = this.items.findIndex((one) => one.kind === "photo" && one.place === place);
    }
    if (index >= 0) this.focus(index);
  }

  /** How many items have their places. */
  get #laidOut() {
    const last = this.rows.at(-1);
    return last ? last.first + last.boxes.length : 0;
  }

  #rowOf(index) {
    return this.rows.findLastIndex((row) => row.first <= index && index < row.first + row.boxes.length);
  }

  #topOf(item) {
    return this.rows[this.#rowOf(this.items.indexOf(item))]?.top ?? 0;
  }

  /** Top and height of the photos in place of a gap. */
  #stretch({ start, count }) {
    const rowOf = (place) => this.rows[this.#rowOf(this.items.findIndex((item) => item.place === place))];
    const [first, last] = [rowOf(start), rowOf(start + count - 1)];
    return first && last ? [first.top, bottom(last) - first.top] : [0, 0];
  }

  #bringIntoView(row, isFromBelow = false) {
    const place = this.list.getBoundingClientRect().top + row.top;
    const header = document.querySelector("header").getBoundingClientRect().bottom;
    const isTall = row.height > innerHeight - header;
    if (place < header + 8 && !(isTall && isFromBelow)) scrollBy(0, place - header - 8);
    else if (place + row.height > innerHeight - 8) scrollBy(0, place + (isTall && !isFromBelow ? -header - 8 : row.height - innerHeight + 8));
  }

  #draw() {
    if (!this.measures) return;
    const height = bottom(this.rows.at(-1));
    this.list.style.height = `${height}px`;
    const offset = -this.list.getBoundingClientRect().top;
    const from = this.#firstBelow(offset - innerHeight);
    const to = this.#firstBelow(offset + 2 * innerHeight);
    const held = this.list.contains(document.activeElement) ? this.#rowOf(this.current) : -1;
    this.cells.keep((row) => (row >= from && row <= to) || row === held);
    const count = this.total ?? (this.complete ? this.items.length : -1);
    for (let row = from; row <= to && row < this.rows.length; row++) this.cells.draw(row, this.rows[row], this.items, count);
    if (!this.list.querySelector('a.photo[tabindex="0"]')) this.#letTabIn();
    if (!this.complete && height - offset < 3 * innerHeight) this.listener.onNearEnd();
    this.#askForGaps(from, to);
    this.listener.onLaidOut();
  }

  /** What is near the screen is fetched once the screen rests there. */
  #askForGaps(from, to) {
    clearTimeout(this.asking);
    const gap = this.rows.slice(from, to + 1).find(({ item }) => item.kind === "gap")?.item;
    if (gap) this.asking = setTimeout(() => this.listener.onGap(gap), 60);
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
}

function indexOf(target) {
  const found = target.closest(".cell")?.dataset.index;
  return found === undefined ? null : Number(found);
}
