// What is known of a photo, as a list of terms.

import { element } from "./cell.js";
import { address } from "./state.js";
import { clock, coordinates, moment, number, say } from "./texts.js";

/** Kilometres around a photo that are its neighbourhood. */
const NEAR = 5;

/** @param {import("./api.js").Photo} photo */
export function factList(photo) {
  const size = { width: number(photo.width), height: number(photo.height), kind: photo.kind.toUpperCase() };
  const copies = photo.copies ? ` ${say("copies", { n: photo.copies })}` : "";
  const facts = [
    ["taken", photo.taken && moment(photo.taken)],
    ["place", photo.latitude !== null && photo.longitude !== null && place(photo)],
    ["camera", photo.camera],
    ["folder", photo.folder + copies],
    ["moment", photo.at !== null && clock(photo.at)],
    ["size", say("pixels", size)],
    ["path", photo.path],
  ];
  return facts.filter(([, value]) => value).flatMap(([key, value]) => {
    const told = element("dd", "");
    told.append(value);
    return [element("dt", "", say(key)), told];
  });
}

/** Where it was taken, with a link to what else was taken there. */
function place({ latitude, longitude }) {
  const link = element("a", "near", coordinates(latitude, longitude));
  link.href = address({ q: "", like: null, picture: null, filters: { near: `${latitude},${longitude},${NEAR}` }, photo: null, view: null });
  link.title = say("nearby", { n: NEAR });
  return link;
}
