// What is known of a photo, as a list of terms.

import { element } from "./cell.js";
import { address } from "./state.js";
import { clock, coordinates, kindName, moment, number, say } from "./texts.js";

/** Kilometres around a photo that are its neighbourhood. */
const NEAR = 5;

/** @param {import("./api.js").Photo} photo */
export function factList(photo) {
  const size = { width: number(photo.width), height: number(photo.height), kind: kindName(photo.kind) };
  const copies = photo.copies ? ` ${say("copies", { n: photo.copies })}` : "";
  const facts = [
    ["taken", photo.taken && moment(photo.taken)],
    ["place", place(photo)],
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

/** Where it was taken, with links to what else was taken there. */
function place({ place: names, latitude, longitude }) {
  const told = element("span", "");
  placeNames(names).forEach((name, at) => told.append(at ? ", " : "", linked(name, { place: name })));
  if (latitude !== null && longitude !== null) {
    const link = linked(coordinates(latitude, longitude), { near: `${latitude},${longitude},${NEAR}` });
    link.title = say("nearby", { n: NEAR });
    told.append(told.firstChild ? element("br", "") : "", link);
  }
  return told.firstChild && told;
}

/** What a place is called: by the photo's file, else in the page's language. @param {import("./api.js").Place | null} place */
export function placeNames(place) {
  if (!place) return [];
  return place.said.length ? place.said : document.documentElement.lang === "ru" ? place.russian : place.english;
}

function linked(text, filters) {
  const link = element("a", "near", text);
  link.href = address({ q: "", like: null, picture: null, filters, photo: null, view: null });
  return link;
}
