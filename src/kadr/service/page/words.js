// The words of the query, each with a plus and a minus that rewrite it.

import { element, icon } from "./cell.js";
import { finished, toggleLess, toggleMore, words } from "./query.js";
import { say } from "./texts.js";

export class Words {
  /** @param {HTMLElement} place @param {(q: string) => void} onRewritten */
  constructor(place, onRewritten) {
    this.place = place;
    this.onRewritten = onRewritten;
    this.drawn = "";
  }

  /** @param {string} q @param {boolean} beside whether a picture is looked for too */
  show(q, beside) {
    const shown = words(finished(q), beside);
    // One plain word has nothing to be weighed against.
    const isWorthIt = shown.length > 1 || beside || shown.some(({ state }) => state !== "plain");
    const next = JSON.stringify([shown, document.documentElement.lang]);
    this.place.hidden = !shown.length || !isWorthIt;
    if (next === this.drawn) return;
    this.drawn = next;
    const focused = document.activeElement?.closest("#words button")?.dataset.key;
    this.place.replaceChildren(...shown.map((one) => this.#word(one, q)));
    // The buttons are new ones: the keyboard stays where it was.
    if (focused) [...this.place.querySelectorAll("button")].find((one) => one.dataset.key === focused)?.focus();
  }

  #word({ word, state, needed }, q) {
    const chip = element("span", "word");
    chip.dataset.state = state;
    const less = this.#button("less", word, state === "less", () => this.onRewritten(toggleLess(finished(q), word)));
    const more = this.#button("more", word, state === "more", () => this.onRewritten(toggleMore(finished(q), word)));
    less.disabled = needed;
    chip.append(less, element("span", "", word), more);
    return chip;
  }

  #button(kind, word, isPressed, act) {
    const made = element("button", kind);
    made.type = "button";
    made.dataset.key = `${kind} ${word}`;
    made.title = say(kind, { word });
    made.setAttribute("aria-label", say(kind, { word }));
    made.setAttribute("aria-pressed", String(isPressed));
    made.append(icon(kind));
    made.addEventListener("click", act);
    return made;
  }
}
