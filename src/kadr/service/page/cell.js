// One place of the grid: a photo with its probability, or a line between photos.

import { address, read } from "./state.js";
import { clock, describe, number, percent, say } from "./texts.js";
import { thumbnail } from "./api.js";

/** @param {string} tag @param {string} className @param {string} [text] */
export function element(tag, className, text = "") {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}

/** An icon of index.html. @param {string} name */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#i-${name}`);
  svg.setAttribute("aria-hidden", "true");
  svg.append(use);
  return svg;
}

/** How well a photo fits, in words; empty while browsing. @param {import("./feed.js").Hit} item */
export function fit(item) {
  if (item.probability !== null) return say("sure", { percent: percent(item.probability) });
  return item.similarity === null ? "" : say("likeness", { value: number(item.similarity, 2) });
}

/** Where the query's words stand, such as "tagged: wedding"; empty where they don't. @param {import("./feed.js").Hit} item */
export function onRecord(item) {
  return places(item).map(({ where, words }) => where + words).join("; ");
}

/** @param {import("./feed.js").Hit} item @returns {{where: string, words: string}[]} */
function places(item) {
  const found = new Map();
  for (const { word, source } of item.on_record ?? []) found.set(source, [...(found.get(source) ?? []), word]);
  return [...found].map(([source, words]) => ({ where: say(`record_${source}`, { words: "" }), words: words.join(" ") }));
}

/** The same as a quiet line, from which a narrow photo leaves out all but the words. */
function record(item) {
  const made = element("span", "on-record");
  places(item).forEach(({ where, words }, place) => made.append(place ? "; " : "", element("span", "where", where), words));
  return made;
}

/** The probability as a quiet bar, or what is on record, or the likeness as a word. @param {import("./feed.js").Hit} item */
export function caption(item) {
  const made = element("div", "caption");
  if (item.probability === null) {
    // On a narrow photo the word gives way, the number stays.
    const word = element("span", "likeness", say("likeness", { value: "" }).trim());
    made.append(word, " ", number(item.similarity, 2));
    return made;
  }
  made.append(item.on_record?.length ? record(item) : bar(item.probability));
  made.append(element("span", "percent", percent(item.probability)));
  return made;
}

/** @param {number} probability */
function bar(probability) {
  const made = element("span", "bar");
  const filled = document.createElement("i");
  filled.style.width = `${Math.round(probability * 1000) / 10}%`;
  made.append(filled);
  return made;
}

/** @param {import("./feed.js").Item} item @param {number} width @param {number} height */
export function cell(item, width, height) {
  if (item.kind === "gap") return gap(height);
  return item.kind === "line" ? line(item, height) : photo(item, width, height);
}

/** Where photos will be. */
function gap(height) {
  const made = element("li", "gap");
  made.style.height = `${height}px`;
  made.setAttribute("aria-hidden", "true");
  return made;
}

/** @param {import("./feed.js").Line} item */
function line(item, height) {
  const made = element("li", "line");
  made.style.height = `${height}px`;
  made.append(element("h2", "", item.text));
  return made;
}

/** @param {import("./feed.js").Hit} item */
function photo(item, width, height) {
  const made = element("li", item.matches ? "cell" : "cell weak");
  const link = element("a", "photo");
  link.href = address({ ...read(), photo: item.photo.id });
  link.tabIndex = -1;
  link.style.height = `${height}px`;
  const time = item.photo.at === null ? "" : clock(item.photo.at);
  const label = [time && say("film", { time }), describe(item.photo), onRecord(item), fit(item)];
  link.setAttribute("aria-label", label.filter(Boolean).join(", "));
  link.title = item.photo.name;
  link.append(image(item, Math.max(width, height)));
  if (time) link.append(moment(time));
  made.append(link, check(), actions(item));
  if (item.similarity !== null) {
    const below = caption(item);
    below.setAttribute("aria-hidden", "true"); // the link's label says it
    made.append(below);
  }
  return made;
}

/** That this is a frame of a film, and of which moment. @param {string} time */
function moment(time) {
  const made = element("span", "moment");
  made.setAttribute("aria-hidden", "true"); // the link's label says it
  made.append(icon("play"), time);
  return made;
}

/** The corner by which a photo is chosen. */
function check() {
  const made = element("button", "check");
  made.type = "button";
  made.tabIndex = -1;
  made.setAttribute("aria-label", say("select"));
  made.append(icon("check"));
  return made;
}

function image(item, longest) {
  const made = document.createElement("img");
  made.alt = "";
  made.loading = "lazy";
  made.decoding = "async";
  made.draggable = false;
  made.onload = () => made.classList.add("loaded");
  made.onerror = () => {
    const note = element("span", "unreadable");
    note.append(icon("broken"), element("span", "", say("unreadable")), element("small", "", item.photo.name));
    made.replaceWith(note);
  };
  made.src = thumbnail(item.photo.id, longest);
  return made;
}

/** An icon that says what it does when pointed at. */
function labelled(made, name) {
  const text = say(name === "why" ? "why" : "moreLikeThis");
  made.setAttribute("aria-label", text);
  made.append(icon(name), element("span", "", text));
  return made;
}

/** For the mouse; keys and the full-screen view have the same. */
function actions(item) {
  const made = element("div", "actions");
  if (item.explainable) {
    const why = element("button", "why");
    why.type = "button";
    made.append(labelled(why, "why"));
  }
  const like = element("a", "like");
  like.href = address({ ...read(), q: "", picture: null, photo: null, like: item.photo.id });
  made.append(labelled(like, "like"));
  for (const one of made.children) one.tabIndex = -1;
  return made;
}
