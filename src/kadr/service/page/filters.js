// Which photos are looked at: the panel of filters, and a chip for each that is chosen.

import { element, icon } from "./cell.js";
import { FILTERS, go, read } from "./state.js";
import { day, say } from "./texts.js";

const CHIPS = { after: "chipAfter", before: "chipBefore", near: "chipNear", min_size: "chipSize" };
const DAY_MS = 86_400_000;

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
    fill(kind, say("anyKind"), library.kinds.map((name) => [name, name.toUpperCase()]));
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
    this.form.elements.after.value = chosen.after ? isoDay(firstDay(chosen.after)) : "";
    this.form.elements.before.value = chosen.before ? isoDay(lastDay(chosen.before)) : "";
    this.#showChips(chosen);
  }

  #open(isOpen) {
    this.form.hidden = !isOpen;
    this.toggle.setAttribute("aria-expanded", String(isOpen));
    if (isOpen) this.form.querySelector("input").focus();
  }

  #choose(field) {
    const isLast = field.name === "before" && field.value;
    this.#set(field.name, isLast ? isoDay(new Date(Date.parse(field.value) + DAY_MS)) : field.value);
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
  const shown = { after: () => day(firstDay(value)), before: () => day(lastDay(value)), kind: () => value.toUpperCase() }[name]?.() ?? value;
  return CHIPS[name] ? say(CHIPS[name], { value: shown }) : shown;
}

/** @param {HTMLSelectElement} field @param {string} any @param {[string, string][]} options */
function fill(field, any, options) {
  field.replaceChildren(new Option(any, ""), ...options.map(([value, text]) => new Option(text, value)));
}

/** 2024, 2024-05 and 2024-05-17 by their first moment. @param {string} text */
function firstDay(text) {
  const [year, month = "01", date = "01"] = text.slice(0, 10).split("-");
  return new Date(`${year}-${month}-${date}T00:00:00Z`);
}

/** The service ends before that moment, people count the last day in. @param {string} before */
function lastDay(before) {
  return new Date(firstDay(before).getTime() - DAY_MS);
}

/** @param {Date} date */
function isoDay(date) {
  return Number.isNaN(date.getTime()) ? "" : date.toISOString().slice(0, 10);
}
