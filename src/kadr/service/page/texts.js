// Texts in the language of the page, and numbers and dates as it has them.

import { TEXTS } from "./dictionary.js";

/** @typedef {"en" | "ru"} Language */

const LANGUAGES = /** @type {Language[]} */ (["en", "ru"]);
const KEPT = "kadr.language";

/** @type {Language} */
let current = initial();

/** @returns {Language} the one chosen here before, else the browser's */
function initial() {
  const kept = localStorage.getItem(KEPT);
  const wanted = kept ?? navigator.language;
  return wanted.toLowerCase().startsWith("ru") ? "ru" : "en";
}

/** @returns {Language} */
export function language() {
  return current;
}

/** @param {Language} chosen */
export function setLanguage(chosen) {
  current = chosen;
  localStorage.setItem(KEPT, chosen);
}

/**
 * The text of a key, its {places} filled; `n` chooses the plural form.
 * @param {string} key
 * @param {Record<string, string | number>} [values]
 */
export function say(key, values = {}) {
  const text = TEXTS[key][LANGUAGES.indexOf(current)];
  const form = typeof text === "string" ? text : text[new Intl.PluralRules(current).select(values.n)];
  return form.replace(/\{(\w+)\}/g, (_, name) =>
    typeof values[name] === "number" ? number(values[name]) : values[name],
  );
}

/** Fill every element below `root` that names its text. @param {ParentNode} root */
export function translate(root) {
  for (const element of root.querySelectorAll("[data-text]")) element.textContent = say(element.dataset.text);
  for (const element of root.querySelectorAll("[data-label]")) {
    element.setAttribute("aria-label", say(element.dataset.label));
    if (element.matches("button, label, a")) element.title = say(element.dataset.label);
  }
  for (const element of root.querySelectorAll("[data-hint]")) element.placeholder = say(element.dataset.hint);
}

/** @param {number} value @param {number} [digits] */
export function number(value, digits = 0) {
  return new Intl.NumberFormat(current, { minimumFractionDigits: digits, maximumFractionDigits: digits })
    .format(value)
    .replace("-", "−");
}

/** With its plus, and no minus before a zero. @param {number} value */
export function signed(value) {
  const rounded = Math.round(value * 10) / 10 || 0;
  return (rounded > 0 ? "+" : "") + number(rounded, 1);
}

/** Never a flat 0 % or 100 %: nobody is that sure. @param {number} share */
export function percent(share) {
  const format = new Intl.NumberFormat(current, { style: "percent" });
  if (share < 0.005) return `<${format.format(0.01)}`;
  if (share > 0.995) return `>${format.format(0.99)}`;
  return format.format(share);
}

/** A day as people write it. @param {Date} date */
export function day(date) {
  return new Intl.DateTimeFormat(current, { dateStyle: "long", timeZone: "UTC" }).format(date).replace(" г.", "");
}

/** A month as people write it. @param {string} name YYYY-MM */
export function month(name) {
  const date = new Date(`${name}-01T00:00:00Z`);
  const text = new Intl.DateTimeFormat(current, { year: "numeric", month: "long", timeZone: "UTC" }).format(date);
  return (text[0].toUpperCase() + text.slice(1)).replace(" г.", "");
}

/** A place on Earth: 48.8566° N, 2.3522° E. @param {number} latitude @param {number} longitude */
export function coordinates(latitude, longitude) {
  const [north, south, east, west] = current === "ru" ? ["с. ш.", "ю. ш.", "в. д.", "з. д."] : ["N", "S", "E", "W"];
  const one = (value, plus, minus) => `${number(Math.abs(value), 4)}° ${value < 0 ? minus : plus}`;
  return `${one(latitude, north, south)}, ${one(longitude, east, west)}`;
}

/** A moment of a film: 12:34, 1:02:03. @param {number} seconds */
export function clock(seconds) {
  const [hours, minutes, rest] = [seconds / 3600, (seconds / 60) % 60, seconds % 60].map(Math.floor);
  const two = (value) => String(value).padStart(2, "0");
  return hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

/** A photo in words, for those who hear the page. @param {import("./api.js").Photo} photo */
export function describe({ taken, folder }) {
  return taken ? say("described", { day: day(new Date(`${taken}Z`)), folder }) : say("describedUndated", { folder });
}

/** The camera's own time, whatever the browser's zone. @param {string} iso */
export function moment(iso) {
  const date = new Date(`${iso}Z`);
  const time = new Intl.DateTimeFormat(current, { timeStyle: "short", timeZone: "UTC" }).format(date);
  return `${day(date)}, ${time}`;
}

/** A moment of the world, in the browser's zone. @param {string} iso with its own zone */
export function localMoment(iso) {
  const date = new Date(iso);
  return moment(new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 19));
}

/** What a photo's format is called. @param {string} kind */
export function kindName(kind) {
  return kind === "film" ? say("kindFilm") : kind.toUpperCase();
}
