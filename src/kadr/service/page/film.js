// A frame of a film: its moment, and the film played from there.

import * as api from "./api.js";
import { element, icon } from "./cell.js";
import { messageOf } from "./errors.js";
import { clock, say } from "./texts.js";

const BLOCKED = 451;

/**
 * A button over the frame that plays the film in its place.
 * @param {HTMLElement} frame
 * @param {api.Photo} photo
 * @param {(text: string) => void} note
 */
export function layPlay(frame, photo, note) {
  if (photo.at === null) return;
  const button = element("button", "play");
  button.type = "button";
  button.append(icon("play"), element("span", "", say("play", { time: clock(photo.at) })));
  button.addEventListener("click", () => play(frame, photo, note));
  frame.append(button);
}

function play(frame, photo, note) {
  const shown = [...frame.children];
  const video = document.createElement("video");
  video.controls = true;
  video.setAttribute("aria-label", photo.name);
  for (const kind of ["wheel", "dblclick", "pointerdown", "touchstart", "keydown"]) {
    video.addEventListener(kind, (event) => event.stopPropagation(), { passive: true }); // the player's own
  }
  video.addEventListener("loadedmetadata", () => {
    video.currentTime = photo.at;
    video.play().catch(() => {}); // then it waits for whoever watches
  });
  const giveUp = async () => {
    if (!frame.contains(video)) return;
    frame.replaceChildren(...shown);
    note(await reason(photo));
  };
  video.addEventListener("error", giveUp);
  video.addEventListener("loadeddata", () => video.videoWidth || giveUp()); // sound alone
  video.src = `${api.original(photo.id)}#t=${photo.at}`;
  frame.replaceChildren(video);
  video.focus();
}

/** Why a film isn't played. @param {api.Photo} photo */
async function reason(photo) {
  try {
    const answer = await fetch(api.original(photo.id), { headers: { Range: "bytes=0-0" } });
    if (answer.status === BLOCKED) return say("filmWithheld");
    return say(answer.ok ? "notPlayable" : "unreadable");
  } catch (error) {
    return messageOf(error) ?? say("unreadable");
  }
}
