// What waits for a decision, side by side: one of it is current, any number are chosen.

import * as api from "./api.js";
import { icon } from "./cell.js";
import { describe, percent, say } from "./texts.js";

/** @typedef {import("./review.js").Doubt} Doubt */

export class ReviewGrid {
  /**
   * @param {HTMLElement} list
   * @param {{onCurrent: (at: number) => void, onChoose: (at: number, isRange: boolean) => void, onLarge: () => void}} listener
   */
  constructor(list, listener) {
    this.list = list;
    this.listener = listener;
    list.addEventListener("click", (event) => this.#click(event));
    list.addEventListener("focusin", (event) => {
      const at = placeOf(event.target);
      if (at !== null) listener.onCurrent(at);
    });
  }

  /** @param {Doubt[]} doubts @param {number} current @param {Set<number>} chosen ids */
  show(doubts, current, chosen) {
    const hadFocus = this.list.contains(document.activeElement);
    const known = new Map([...this.list.children].map((one) => [Number(one.dataset.id), one]));
    this.list.replaceChildren(...doubts.map((doubt) => known.get(doubt.photo.id) ?? cell(doubt)));
    for (const [at, doubt] of doubts.entries()) {
      const one = this.list.children[at];
      const isChosen = chosen.has(doubt.photo.id);
      one.dataset.at = String(at);
      one.classList.toggle("chosen", isChosen);
      one.querySelector(".check").setAttribute("aria-pressed", String(isChosen));
      one.querySelector(".tile").tabIndex = at === current ? 0 : -1;
      one.querySelector(".tile").setAttribute("aria-current", String(at === current));
      one.querySelector(".tile").setAttribute("aria-label", label(doubt, isChosen));
    }
    if (hadFocus) this.focus(current);
  }

  /** @param {number} at */
  focus(at) {
    this.list.children[at]?.querySelector(".tile").focus();
  }

  /** How far an arrow leads. @param {string} key @returns {number} 0 where it is no arrow */
  step(key) {
    const tops = [...this.list.children].map((one) => one.offsetTop);
    const inRow = Math.max(tops.filter((top) => top === tops[0]).length, 1);
    return { ArrowRight: 1, ArrowLeft: -1, ArrowDown: inRow, ArrowUp: -inRow }[key] ?? 0;
  }

  #click(event) {
    const at = placeOf(event.target);
    if (at === null) return;
    if (event.target.closest(".check") || event.shiftKey) this.listener.onChoose(at, event.shiftKey);
    else {
      this.listener.onCurrent(at);
      this.listener.onLarge();
    }
  }
}

function placeOf(target) {
  const at = target.closest("li")?.dataset.at;
  return at === undefined ? null : Number(at);
}

/** @param {Doubt} doubt */
function cell({ photo, assessment }) {
  const made = document.createElement("li");
  made.dataset.id = String(photo.id);
  const tile = document.createElement("button");
  tile.type = "button";
  tile.className = "tile";
  const image = document.createElement("img");
  image.alt = "";
  image.loading = "lazy";
  image.src = api.reviewPicture(photo.id, 320);
  tile.append(image);
  if (assessment) {
    const sure = document.createElement("span");
    sure.textContent = percent(assessment.probability);
    tile.append(sure);
  }
  const check = document.createElement("button");
  check.type = "button";
  check.tabIndex = -1;
  check.className = "check";
  check.setAttribute("aria-label", say("select"));
  check.append(icon("check"));
  made.append(tile, check);
  return made;
}

function label({ photo, assessment }, isChosen) {
  const sure = assessment ? `${say("aChild")}: ${percent(assessment.probability)}` : say("notAssessed");
  return [isChosen ? say("isChosen") : "", describe(photo), sure].filter(Boolean).join(", ");
}
