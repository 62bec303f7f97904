// The cells of the grid that are in the document, row by row.

import { cell } from "./cell.js";

/** @typedef {import("./feed.js").Item} Item */

export class Cells {
  /** @param {HTMLElement} list @param {(cell: HTMLElement, item: Item) => void} onDrawn */
  constructor(list, onDrawn) {
    this.list = list;
    this.onDrawn = onDrawn;
    /** @type {Map<number, {item: Item, cell: HTMLElement}[]>} */
    this.rows = new Map();
    /** Cells that may be drawn again elsewhere. @type {Map<Item, HTMLElement>} */
    this.spare = new Map();
  }

  /** What is drawn under an index. @param {number} index @returns {Item | undefined} */
  itemAt(index) {
    return [...this.rows.values()].flat().find(({ cell: one }) => one.dataset.index === String(index))?.item;
  }

  /** Draw a row, unless it is there. @param {number} at @param {import("./layout.js").Row} row @param {Item[]} items @param {number} count of all photos */
  draw(at, { top, photo, first, boxes }, items, count) {
    if (this.rows.has(at)) return;
    const made = boxes.map(({ left, width }, place) => {
      const index = first + place;
      const item = items[index];
      const one = this.#cell(item, width, photo);
      one.style.transform = `translate(${left}px, ${top}px)`;
      if (item.kind === "photo") number(one, index, item, count);
      this.onDrawn(one, item);
      return { item, cell: one };
    });
    // In their order, for those who hear the page.
    const after = [...this.rows.keys()].filter((row) => row > at);
    const before = after.length ? this.rows.get(Math.min(...after))[0].cell : null;
    for (const one of made) this.list.insertBefore(one.cell, before);
    this.rows.set(at, made);
  }

  /** Draw anew: photos that keep their size keep their cells, which are loaded already. @param {() => void} draw */
  again(draw) {
    for (const { item, cell: one } of [...this.rows.values()].flat()) this.spare.set(item, one);
    this.rows.clear();
    draw();
    for (const one of this.spare.values()) one.remove();
    this.spare.clear();
  }

  /** Take away all but these rows. @param {(row: number) => boolean} isKept */
  keep(isKept) {
    for (const row of [...this.rows.keys()]) if (!isKept(row)) this.#remove(row);
  }

  /** @param {(cell: HTMLElement, item: Item) => void} act */
  each(act) {
    for (const { item, cell: one } of [...this.rows.values()].flat()) act(one, item);
  }

  clear() {
    this.keep(() => false);
  }

  #cell(item, width, height) {
    const size = `${width} ${height}`;
    const known = this.spare.get(item);
    if (known?.dataset.size === size) {
      this.spare.delete(item);
      return known;
    }
    const made = cell(item, width, height);
    made.style.width = `${width}px`;
    made.dataset.size = size;
    return made;
  }

  #remove(at) {
    for (const { cell: one } of this.rows.get(at)) {
      one.querySelector("img:not(.loaded)")?.removeAttribute("src"); // nobody waits for it any more
      one.remove();
    }
    this.rows.delete(at);
  }
}

function number(one, index, item, count) {
  one.dataset.index = String(index);
  one.setAttribute("aria-posinset", String((item.place ?? index) + 1));
  one.setAttribute("aria-setsize", String(count));
}
