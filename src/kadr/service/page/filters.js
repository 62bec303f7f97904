// Which photos are looked at: the panel of filters, and a chip for each that is chosen.

import { element, icon } from "./cell.js";
import { firstOrLastDay, fromDay, shownDay } from "./dates.js";
import { titled } from "./membership.js";
import { FILTERS, go, read } from "./state.js";
import { day, kindName, say } from "./texts.js";

const CHIPS = { after: "chipAfter", before: "chipBefore", near: "chipNear", min_size: "chipSize", collection: "chipCollection", place: "chipPlace", box: "chipBox" };

export class Filters {
  /** @param {HTMLFieldSetElement} form @param {HTMLButtonElement} toggle @param {HTMLElement} chips */
  constructor(form, toggle, chips) {
    this.form = form;
    this.toggle = toggle;
    this.chips = chips;
    toggle.addEventListener("click", () => this.#open(form.hidden));
    form.addEventListener("change", (event) => this.#choose(event.target));
    form.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      this.#open(false);
      toggle.focus();
    });
  }

  /** What there is to choose from. @param {any} library */
  offer(library) {
    const { folder, camera, kind, after, before } = this.form.elements;
    fill(folder, say("any"), library.folders.map(({ name, photos }) => [name, `${name} (${photos})`]));
    fill(camera, say("any"), library.cameras.map((name) => [name, name]));
    fill(kind, say("anyKind"), library.kinds.map((name) => [name, kindName(name)]));
    for (const field of [after, before]) {
      field.min = library.first_taken?.slice(0, 10) ?? "";
      field.max = library.last_taken?.slice(0, 10) ?? "";
    }
    this.show(read().filters);
  }

  /** @param {import("./state.js").State["filters"]} chosen */
  show(chosen) {
    for (const name of ["folder", "camera", "kind"]) {
      const field = this.form.elements[name];
      const value = chosen[name] ?? "";
      // An address may name what no menu offers.
      if (![...field.options].some((option) => option.value === value)) field.add(new Option(value, value));
      field.value = value;
    }
    for (const name of ["after", "before"]) this.form.elements[name].value = shownDay(name, chosen[name] ?? "");
    this.#showChips(chosen);
  }

  #open(isOpen) {
    this.form.hidden = !isOpen;
    this.toggle.setAttribute("aria-expanded", String(isOpen));
    if (isOpen) this.form.querySelector("input").focus();
  }

  #choose(field) {
    const isDate = field.name === "after" || field.name === "before";
    this.#set(field.name, isDate ? fromDay(field.name, field.value) : field.value);
  }

  #set(name, value) {
    const filters = { ...read().filters, [name]: value };
    if (!value) delete filters[name];
    go({ filters });
  }

  #showChips(chosen) {
    const names = FILTERS.filter((name) => chosen[name]);
    const made = names.map((name) => this.#chip(name, chipText(name, chosen[name])));
    if (names.length > 1) {
      const all = element("button", "quiet", say("clearFilters"));
      all.type = "button";
      all.addEventListener("click", () => this.#remove({}));
      made.push(all);
    }
    this.chips.replaceChildren(...made);
    this.chips.hidden = !made.length;
    this.toggle.classList.toggle("chosen", names.length > 0);
  }

  #chip(name, text) {
    const chip = element("button", "chip", text);
    chip.type = "button";
    chip.setAttribute("aria-label", say("without", { name: text }));
    chip.append(icon("close"));
    chip.addEventListener("click", () => {
      const { [name]: _, ...left } = read().filters;
      this.#remove(left);
    });
    return chip;
  }

  /** The chip is gone: the keyboard goes to the next one, or to where filters are chosen. */
  #remove(left) {
    go({ filters: left });
    (this.chips.querySelector("button") ?? this.toggle).focus();
  }
}

function chipText(name, value) {
  const date = name === "after" || name === "before" ? firstOrLastDay(name, value) : null;
  const spelled = { kind: () => kindName(value), collection: () => titled(value) }[name];
  const shown = date ? day(date) : (spelled?.() ?? value);
  return CHIPS[name] ? say(CHIPS[name], { value: shown }) : shown;
}

/** @param {HTMLSelectElement} field @param {string} any @param {[string, string][]} options */
function fill(field, any, options) {
  field.replaceChildren(new Option(any, ""), ...options.map(([value, text]) => new Option(text, value)));
}
