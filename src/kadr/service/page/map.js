// Photos by where they were taken: clusters on a map that is drawn here, without anything from elsewhere.

import * as api from "./api.js";
import { element } from "./cell.js";
import { messageOf, patiently } from "./errors.js";
import { placeNames } from "./facts.js";
import { draw, rectangles } from "./land.js";
import { Part, around, project } from "./mercator.js";
import { address, go, read } from "./state.js";
import { coordinates, say } from "./texts.js";

/** Milliseconds without a movement after which photos are asked for. */
const REST = 180;
/** Pixels of one press of an arrow key. */
const STEP = 120;
/** A cluster that is so many degrees wide, or high, is told by its town, or else by its country. */
const TOWN = 0.5;
const COUNTRY = 8;

export class PhotoMap {
  /** @param {HTMLElement} section @param {(line: string | null) => void} tell */
  constructor(section, tell) {
    this.section = section;
    this.tell = tell;
    this.frame = section.querySelector(".map");
    this.canvas = section.querySelector("canvas");
    this.spots = section.querySelector(".spots");
    /** @type {Part | null} */
    this.part = null;
    this.land = null;
    this.clusters = [];
    this.asked = 0;
    /** @type {Map<number, {x: number, y: number}>} pointers that are down */
    this.pointers = new Map();
    new ResizeObserver(() => this.isOpen && this.#resize()).observe(this.frame);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#draw());
    new MutationObserver(() => this.#draw()).observe(document.documentElement, { attributeFilter: ["data-theme"] });
    this.#listen();
  }

  get isOpen() {
    return !this.section.hidden;
  }

  async open() {
    if (this.isOpen) return;
    this.section.hidden = false;
    this.section.querySelector("h1").focus({ preventScroll: true });
    scrollTo(0, 0);
    this.filters = JSON.stringify(read().filters);
    if (this.part && this.filters === this.seen) {
      this.#resize();
      return;
    }
    this.seen = this.filters;
    try {
      this.land ??= rectangles((await patiently(api.land, this.tell)).cells);
      const world = await patiently(() => api.map({ west: -180, south: -90, east: 180, north: 90, zoom: 3 }, read().filters), this.tell);
      this.#show(world);
      const ends = world.clusters.flatMap(({ box }) => corners(box));
      this.part = around(ends.length ? ends : [project(60, -140), project(-50, 160)], this.frame.clientWidth, this.frame.clientHeight);
      this.#moved();
    } catch (error) {
      this.tell(messageOf(error));
    }
  }

  close() {
    this.section.hidden = true;
  }

  /** In another language. */
  translate() {
    if (this.isOpen && this.part) this.#tellCount();
    this.#place();
  }

  #listen() {
    const frame = this.frame;
    frame.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.#zoom(-event.deltaY / (event.ctrlKey ? 100 : 300), this.#at(event));
    }, { passive: false });
    frame.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      this.pointers.set(event.pointerId, this.#at(event));
      this.dragged = 0;
    });
    addEventListener("pointermove", (event) => this.#drag(event));
    for (const end of ["pointerup", "pointercancel"]) addEventListener(end, (event) => this.pointers.delete(event.pointerId));
    frame.addEventListener("dragstart", (event) => event.preventDefault());
    frame.addEventListener("dblclick", (event) => {
      if (!event.target.closest("a, button")) this.#zoom(1, this.#at(event));
    });
    frame.addEventListener("keydown", (event) => this.#key(event));
    this.section.querySelector(".closer").addEventListener("click", () => this.#zoom(1));
    this.section.querySelector(".farther").addEventListener("click", () => this.#zoom(-1));
    this.spots.addEventListener("click", (event) => this.#follow(event));
  }

  #at({ clientX, clientY }) {
    const { left, top } = this.frame.getBoundingClientRect();
    return { x: clientX - left, y: clientY - top };
  }

  /** One finger or the mouse moves the map, two fingers also change its zoom. */
  #drag(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before || !this.part) return;
    const now = this.#at(event);
    const [other] = [...this.pointers].filter(([id]) => id !== event.pointerId).map(([, at]) => at);
    this.pointers.set(event.pointerId, now);
    this.dragged += Math.hypot(now.x - before.x, now.y - before.y);
    if (other) {
      const apart = (at) => Math.max(Math.hypot(at.x - other.x, at.y - other.y), 1);
      this.part = this.part.zoomed(this.part.zoom + Math.log2(apart(now) / apart(before)), other);
    } else this.part = this.part.moved(before.x - now.x, before.y - now.y);
    this.#moved();
  }

  /** A cluster's photos; what was dragged was no click. */
  #follow(event) {
    const link = event.target.closest("a");
    if (!link) return;
    if (this.dragged > 6) event.preventDefault();
    else if (!(event.ctrlKey || event.metaKey || event.shiftKey)) {
      event.preventDefault();
      go(photosIn(link.dataset.box));
    }
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || !this.part) return;
    const act = {
      ArrowLeft: () => this.#move(-STEP, 0),
      ArrowRight: () => this.#move(STEP, 0),
      ArrowUp: () => this.#move(0, -STEP),
      ArrowDown: () => this.#move(0, STEP),
      "+": () => this.#zoom(1),
      "=": () => this.#zoom(1),
      "-": () => this.#zoom(-1),
    }[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  }

  #move(right, down) {
    this.part = this.part.moved(right, down);
    this.#moved();
  }

  #zoom(by, at = { x: this.frame.clientWidth / 2, y: this.frame.clientHeight / 2 }) {
    if (!this.part) return;
    this.part = this.part.zoomed(this.part.zoom + by, at);
    this.#moved();
  }

  #resize() {
    if (!this.part) return;
    const { centre, zoom } = this.part;
    this.part = new Part(centre, zoom, this.frame.clientWidth, this.frame.clientHeight).zoomed(zoom, { x: this.frame.clientWidth / 2, y: this.frame.clientHeight / 2 });
    this.#moved();
  }

  #moved() {
    this.#draw();
    this.#place();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.#fetch(), REST);
  }

  #draw() {
    if (this.part && this.isOpen) draw(this.canvas, this.part, this.land ?? []);
  }

  async #fetch() {
    if (!this.isOpen) return;
    const turn = ++this.asked;
    // A little more than is seen, so that a small step shows no gap.
    const { centre, zoom, width, height } = this.part;
    const wide = new Part(centre, zoom, width * 1.4, height * 1.4);
    try {
      const found = await api.map({ ...wide.box(), zoom: Math.round(zoom) }, read().filters);
      if (turn === this.asked) this.#show(found);
    } catch (error) {
      if (turn === this.asked) this.tell(messageOf(error));
    }
  }

  #show({ photos, clusters }) {
    this.photos = photos;
    this.#tellCount();
    const focused = this.spots.contains(document.activeElement) ? document.activeElement.dataset.box : null;
    const known = new Map([...this.spots.children].map((spot) => [spot.dataset.key, spot]));
    this.clusters = clusters.map((one) => ({ ...one, at: project(one.latitude, one.longitude) }));
    this.spots.replaceChildren(...this.clusters.map((one) => known.get(keyOf(one)) ?? spot(one)));
    if (focused) [...this.spots.querySelectorAll("a")].find((link) => link.dataset.box === focused)?.focus();
    if (this.part) this.#place();
  }

  #tellCount() {
    this.section.querySelector(".count").textContent = this.photos ? say("mapCount", { n: this.photos }) : say("mapEmpty");
    this.section.querySelector(".source").hidden = !this.land?.length;
  }

  #place() {
    if (!this.part) return;
    this.clusters.forEach((one, index) => {
      const made = this.spots.children[index];
      const { x, y } = this.part.pixels(one.at);
      made.hidden = x < -40 || y < -40 || x > this.part.width + 40 || y > this.part.height + 40;
      made.style.transform = `translate(${x}px, ${y}px)`;
      const where = whereIs(one);
      made.firstChild.setAttribute("aria-label", `${say("photoCount", { n: one.photos })}, ${where}`);
      made.firstChild.title = where;
    });
  }
}

function keyOf({ box, photos, cover }) {
  return `${box} ${photos} ${cover}`;
}

/** The ends of a cluster's box on the map. @param {string} box */
function corners(box) {
  const [west, south, east, north] = box.split(",").map(Number);
  return [project(south, west), project(north, east)];
}

/** The town or country of a cluster, if it lies in one, else its middle. */
function whereIs({ box, place, latitude, longitude }) {
  const [west, south, east, north] = box.split(",").map(Number);
  const wide = Math.max(east - west, north - south);
  const names = wide < TOWN ? placeNames(place) : wide < COUNTRY ? placeNames(place).slice(-1) : [];
  return names.length ? names.join(", ") : coordinates(latitude, longitude);
}

function photosIn(box) {
  return { q: "", like: null, picture: null, filters: { ...read().filters, box }, photo: null, view: null };
}

function spot(cluster) {
  const made = element("li", "");
  made.dataset.key = keyOf(cluster);
  const link = element("a", "spot");
  link.dataset.box = cluster.box;
  link.href = address(photosIn(cluster.box));
  const image = document.createElement("img");
  image.alt = "";
  image.loading = "lazy";
  image.onload = () => image.classList.add("loaded");
  image.src = api.thumbnail(cluster.cover, 320);
  link.append(image);
  if (cluster.photos > 1) link.append(element("span", "spot-count", short(cluster.photos)));
  made.append(link);
  return made;
}

/** 12, 340, 12k. @param {number} count */
function short(count) {
  return count < 1000 ? String(count) : `${Math.floor(count / 1000)}k`;
}
