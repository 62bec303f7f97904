// The large picture of an opened photo, and its file where one looks closer.

import * as api from "./api.js";
import { describe } from "./texts.js";

/** Pixels of the copy that is shown first; closer than that the file itself is needed. */
const COPY = 1600;

/** @param {HTMLElement} frame @param {api.Photo} photo @param {() => void} onFailed */
export function fillFrame(frame, photo, onFailed) {
  frame.style.setProperty("--shape", String(photo.width / photo.height || 4 / 3));
  frame.style.setProperty("--natural", `${photo.width}px`);
  frame.style.backgroundImage = `url("${api.thumbnail(photo.id, 640)}")`; // until the large one is there
  const image = document.createElement("img");
  image.alt = describe(photo);
  image.draggable = false;
  image.onerror = onFailed;
  image.src = api.large(photo.id);
  frame.replaceChildren(image);
}

/**
 * The file itself in place of its smaller copy, where more of it would be seen.
 * @param {HTMLElement} frame
 * @param {api.Photo} photo
 * @param {number} scale
 * @param {() => api.Photo | null} shown the photo that is open once the file has come
 */
export function sharpen(frame, photo, scale, shown) {
  const image = frame.querySelector("img");
  if (photo.at !== null) return; // the file is the film
  if (!image || scale === 1 || image.dataset.sharp || Math.max(photo.width, photo.height) <= COPY) return;
  image.dataset.sharp = "yes";
  const sharp = new Image();
  sharp.onload = () => photo === shown() && (image.src = sharp.src);
  sharp.src = api.original(photo.id);
}
