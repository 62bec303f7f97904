// The page: joins the parts, each of which follows the address.

import * as api from "./api.js";
import { Bin } from "./bin.js";
import { Collecting } from "./collecting.js";
import { Collections } from "./collections.js";
import { Deletion } from "./deletion.js";
import { patiently, messageOf } from "./errors.js";
import { Feed } from "./feed.js";
import { Filters } from "./filters.js";
import { Folders } from "./folders.js";
import { Grid } from "./grid.js";
import { isTyping, letter } from "./keys.js";
import { maySettle, tellLaw, tellWithheld } from "./law.js";
import { tell, teller } from "./line.js";
import { PhotoMap } from "./map.js";
import { Pictures } from "./pictures.js";
import { Review } from "./review.js";
import { Scrubber } from "./scrubber.js";
import { SearchField } from "./searchfield.js";
import { askForKeys } from "./session.js";
import { Selection } from "./selection.js";
import { settings } from "./settings.js";
import { go, onChange, read } from "./state.js";
import { month, say } from "./texts.js";
import { UploadList } from "./uploadlist.js";
import { addPhotos } from "./uploads.js";
import { Viewer } from "./viewer.js";
import { explainCell, removeWhy, spoken } from "./why.js";
import { Words } from "./words.js";

const $ = (id) => document.getElementById(id);

history.scrollRestoration = "manual";

const feed = new Feed({ show, grow, fill, loading, tell: teller() });
const grid = new Grid($("grid"), {
  onNearEnd: () => feed.more(false),
  onGap: (gap) => feed.fill(gap),
  onLaidOut: () => scrubber.show(feed.shown.total !== null),
  onSelect: (index, isRange) => selection.toggle(index, isRange),
  isSelecting: () => selection.isActive,
  onDrawn: (cell, item) => selection.mark(cell, item),
  onOpen: (index) => go({ photo: feed.shown.items[index].photo.id }, { inside: true }),
  onLike: likeIt,
  onWhy: explain,
  onWhyEnd: () => removeWhy($("grid")),
  onLeave: () => $("q").focus(),
});
const selection = new Selection(grid, $("selection"), $("why-review"), {
  tell: teller(),
  items: () => feed.shown.items,
  onCollect: (photos) => collecting.add(photos, () => selection.clear()),
  onTakeOut: (name, photos) => collecting.takeOut(name, photos, () => selection.clear()),
});
const folders = new Folders($("folders"), teller());
const collections = new Collections($("collections"), { rename: $("rename"), question: $("question") }, { tell: teller(), onChanged: () => feed.forget() });
const map = new PhotoMap($("map"), teller());
const bin = new Bin($("bin"), $("empty-bin"), { tell: teller(), onRestored: () => feed.forget() });
const uploadList = new UploadList($("uploading"));
const scrubber = new Scrubber($("scrubber"), grid);
const viewer = new Viewer($("viewer"), feed, {
  onClosed: (index) => grid.focus(index),
  onShown: (photo) => {
    collecting.follow(photo?.id ?? null);
    deletion.follow(photo);
  },
  onFavourite: () => collecting.favour(),
  onCollect: () => collecting.addOpened(),
  say: announce,
  onHelp: openHelp,
});
const collecting = new Collecting({ star: viewer.part("star"), collect: viewer.part("collect") }, $("collect"), { note, onChanged: refill });
const deletion = new Deletion(viewer.part("delete"), $("delete-photo"), $("undo-offer"), { note, onDeleted: leaveDeleted, onRestored: start });
const field = new SearchField($("search"), $("q"), $("clear"));
const words = new Words($("words"), (q) => field.set(q));
const filters = new Filters($("filters"), $("filter-toggle"), $("chips"));
const pictures = new Pictures($("pictures"), $("curtain"), $("chooser"), () => $("q").focus());
const review = new Review($("review"), { tell: teller(), onDecided: () => (isStale = true) });
/** Whether decisions made the answers that are kept untrue. */
let isStale = false;
let library = null;

askForKeys($("key"), start);
settings($("language"), $("theme"), () => {
  if (library) {
    filters.offer(library);
    tellLaw($("law"), library);
  }
  for (const part of [review, folders, collections, map, bin, selection, viewer, deletion]) part.translate();
  feed.forget();
  follow(read());
});
onChange((state, isBack) => {
  tell(null); // it was said of the state before
  follow(state, isBack);
});
listen();
start();
navigator.serviceWorker?.register("sw.js").catch(() => {}); // without it the page needs the service to open

/** What the library holds decides what the page offers. */
async function start() {
  feed.forget();
  follow(read());
  try {
    library = await patiently(api.library, teller());
  } catch (error) {
    tell(messageOf(error));
    return;
  }
  filters.offer(library);
  const mayReview = maySettle(library);
  const mayWrite = library.scopes.includes("write");
  $("add").hidden = !(library.uploads && mayWrite);
  $("to-folders").hidden = library.folders.length < 2;
  $("to-collections").hidden = false;
  $("to-map").hidden = false;
  pictures.suffixes = library.suffixes;
  for (const chooser of [$("chooser"), $("uploads")]) chooser.accept = ["image/*", ...library.suffixes].join(",");
  $("to-review").hidden = !mayReview;
  selection.allow(mayReview, mayWrite);
  for (const part of [collecting, collections]) part.allow(mayWrite);
  deletion.allow(mayWrite, library.deletes_originals);
  $("to-bin").hidden = !(mayWrite && (library.uploads || library.deletes_originals));
  tellWithheld($("withheld"), feed.shown.withheld, library);
  tellLaw($("law"), library);
}

/** @param {import("./state.js").State} state @param {boolean} [isBack] */
function follow(state, isBack = false) {
  field.show(state.q);
  words.show(state.q, state.like !== null || state.picture !== null);
  filters.show(state.filters);
  pictures.show(state);
  document.title = state.q ? `${state.q} · kadr` : say("title");
  document.body.dataset.view = state.view ?? "photos";
  $("results").hidden = state.view !== null;
  for (const [view, part] of Object.entries({ folders, collections, map, bin })) {
    if (state.view === view) part.open();
    else part.close();
  }
  if (state.view === "review") review.open();
  else leaveReview();
  if (state.view === null) feed.show(state, isBack);
  viewer.follow(state.photo);
}

function leaveReview() {
  if (!review.isOpen) return;
  review.close();
  if (!isStale) return;
  isStale = false;
  start();
}

/** The feed has other photos. */
function show(shown, isFresh) {
  const { items, next, summary, note } = shown;
  if (isFresh) selection.clear();
  $("summary").textContent = summary;
  $("summary").classList.toggle("unseen", Boolean(items[0]?.weak)); // the line says it already
  $("note").hidden = !note;
  if (note) showNote(note);
  tellWithheld($("withheld"), feed.shown.withheld, library);
  offer(shown.suggestion);
  $("show-more").hidden = !feed.waits;
  grid.show(items, next === null, shown.total);
  if (!read().photo) scrollTo(0, isFresh ? 0 : shown.scroll);
  viewer.refresh();
}

/** The opened photo is gone. */
function leaveDeleted() {
  go({ photo: null }, { replace: true });
  start();
}

/** A year that the query names, as a filter; nothing is filtered until somebody asks for it. */
function offer(suggestion) {
  const button = $("suggestion");
  button.hidden = !suggestion;
  if (!suggestion) return;
  const { query, after, before } = suggestion;
  button.textContent = say("onlyOf", { when: after.length > 4 ? month(after) : after });
  button.onclick = () => go({ q: query, filters: { ...read().filters, after, before } });
}

function showNote({ title, text = "", command = "" }) {
  $("note").querySelector("h2").textContent = title;
  $("note").querySelector("p").textContent = text;
  $("note").querySelector("code").textContent = command;
}

function grow(shown) {
  $("show-more").hidden = !feed.waits;
  grid.grow(shown.next === null);
}

/** @param {import("./timeline.js").Gap[]} gaps */
function fill(gaps) {
  grid.fill(gaps);
  viewer.refresh();
}

/** @param {boolean} isLoading */
function loading(isLoading) {
  $("grid").setAttribute("aria-busy", String(isLoading));
  document.body.classList.toggle("loading", isLoading);
}

/** One calm line, on the opened photo where there is one. @param {string | null} text */
function note(text) {
  if (!text || !$("viewer").open) tell(text);
  else viewer.note(text);
}

/** Only for those who hear the page. @param {string} text */
function announce(text) {
  $("announcer").textContent = text;
}

/** A collection holds other photos than before. @param {string} name */
function refill(name) {
  if (read().filters.collection !== name) return;
  feed.forget();
  if (!$("viewer").open) follow(read()); // else once it is closed
}

function likeIt(index) {
  go({ q: "", picture: null, like: feed.shown.items[index].photo.id });
}

/** @param {number} index @param {HTMLElement} cell @param {"hover" | "key"} how */
async function explain(index, cell, how) {
  const isShown = cell.querySelector(".why-words") !== null;
  if (how === "hover" && isShown) return;
  removeWhy($("grid"));
  const item = feed.shown.items[index];
  if (isShown || !item?.explainable) return;
  try {
    const why = await explainCell(cell, item, feed.explained, how);
    if (why && how === "key") announce(spoken(why));
  } catch (error) {
    tell(messageOf(error));
  }
}

function openHelp() {
  if ($("help").open) return;
  $("help").showModal();
  $("help").focus();
}

function listen() {
  $("show-more").addEventListener("click", async () => {
    const known = feed.shown.items.length;
    await feed.more(true);
    // The button may be gone: the keyboard goes on where the new photos begin.
    grid.focus(feed.shown.items.findIndex((item, at) => at >= known && item.kind === "photo"));
  });
  addEventListener("popstate", () => document.querySelectorAll("#help, .asks").forEach((dialog) => dialog.close()));
  $("help-button").addEventListener("click", openHelp);
  $("help").querySelector("button").addEventListener("click", () => $("help").close());
  $("add").addEventListener("click", () => $("uploads").click());
  $("uploads").addEventListener("change", async () => {
    const files = [...$("uploads").files];
    $("uploads").value = "";
    if (files.length && (await addPhotos(files, uploadList, tell))) start();
  });
  for (const link of document.querySelectorAll("a[data-go]")) link.addEventListener("click", followLink);
  document.addEventListener("keydown", key);
}

/** Links inside the page change its state, new tabs stay the browser's business. */
function followLink(event) {
  if (event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  const view = event.currentTarget.dataset.go;
  if (view === "home") go({ q: "", like: null, picture: null, filters: {}, photo: null, view: null });
  else go({ view: read().view === view ? null : view, photo: null });
}

/** What Escape leaves; null: nothing. */
function escape() {
  if (selection.isActive) return () => selection.clear();
  return read().view ? () => go({ view: null }) : null;
}

function key(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  const pressed = letter(event);
  if (event.key === "ArrowDown" && event.target === $("q") && grid.items.length) {
    event.preventDefault();
    grid.focus(grid.current);
    return;
  }
  if (isTyping(event.target)) return;
  const index = grid.list.contains(document.activeElement) ? grid.current : -1;
  const act = {
    "/": () => field.focus(),
    "?": openHelp,
    e: index >= 0 ? () => explain(index, grid.cellOf(index), "key") : null,
    m: index >= 0 ? () => likeIt(index) : null,
    f: index >= 0 ? () => collecting.favour(feed.shown.items[index].photo?.id) : null,
    x: index >= 0 ? () => selection.toggle(index, event.shiftKey) : null,
    Escape: escape(),
  }[pressed];
  if (!act) return;
  event.preventDefault();
  act();
}
