// What the page says of the law: which policy is in force, and that photos are hidden.

import { say } from "./texts.js";

/** Whether the visitor decides what is hidden. @param {any} library null: not known yet */
export const maySettle = (library) => Boolean(library?.hides && library.scopes.includes("review"));

/** Which policy is in force, and what it hides of the library. @param {HTMLElement} place @param {any} library */
export function tellLaw(place, { policy, hides, hidden }) {
  place.hidden = false;
  const said = say(hides ? "policyHides" : "policyShows", { policy });
  place.textContent = hidden ? `${said} ${say("hidden", { n: hidden })}` : said;
}

/**
 * One quiet line: that photos are hidden, and why. How many is said of the library, never of an answer.
 * @param {HTMLElement} place
 * @param {string | null} withheld the disclaimer; null: nothing is hidden
 * @param {any} library null: not known yet
 */
export function tellWithheld(place, withheld, library) {
  place.hidden = !withheld;
  if (!withheld) return;
  const n = library?.hidden; // told to reviewers alone
  place.querySelector("a").hidden = !maySettle(library);
  place.querySelector(".how-many").textContent = n ? say("hidden", { n }) : say("someHidden");
  place.querySelector(".said").textContent = withheld;
}
