// People decide what the machine can't: one photo after another, those first that settle most.

import * as api from "./api.js";
import { element } from "./cell.js";
import { patiently, messageOf } from "./errors.js";
import { isTyping, letter } from "./keys.js";
import { number, percent, say } from "./texts.js";

/** @typedef {{photo: api.Photo, assessment: any, ruling: any, request: any, alike: number[], proposal: any}} Doubt */

const QUEUE = 50;
const LAYERS = { words: "layerWords", scene: "layerScene", faces: "layerFaces" };
const OUTCOMES = { seconded: "seconded", disputed: "disputedNow", unchanged: "unchanged" };

export class Review {
  /** @param {HTMLElement} section @param {{tell: (line: string | null) => void, onDecided: () => void}} listener */
  constructor(section, listener) {
    this.section = section;
    this.listener = listener;
    this.part = (name) => section.querySelector(`.${name}`);
    /** @type {Doubt[]} */
    this.doubts = [];
    this.waiting = 0;
    this.sampled = 0;
    /** Whether the sample of what is shown is looked at, not what waits. */
    this.isSample = false;
    /** @type {Set<number>} */
    this.skipped = new Set();
    /** What can be undone, the last one last. @type {Doubt[]} */
    this.decided = [];
    this.isBusy = false;
    for (const [name, act] of Object.entries(this.#acts())) this.part(name).addEventListener("click", act);
    this.part("undo-last").addEventListener("click", () => this.#undo());
    this.part("switch").addEventListener("click", () => this.#switch());
    this.part("again").addEventListener("click", () => this.#lookAgain());
    document.addEventListener("keydown", (event) => this.#key(event));
  }

  get isOpen() {
    return !this.section.hidden;
  }

  async open() {
    if (this.isOpen) return;
    this.section.hidden = false;
    this.skipped.clear();
    this.part("heading").focus({ preventScroll: true });
    scrollTo(0, 0);
    await this.#fetch();
  }

  close() {
    this.section.hidden = true;
  }

  /** In another language. */
  translate() {
    if (this.isOpen) this.#show();
  }

  #acts() {
    return {
      allow: () => this.#decide("allow"),
      hide: () => this.#decide("hide"),
      skip: () => this.#skip(),
      undo: () => this.#undo(),
      alike: () => this.#decideAlike(),
    };
  }

  #key(event) {
    if (!this.isOpen || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    if (isTyping(event.target) || document.querySelector("dialog[open]")) return;
    const acts = this.#acts();
    const act = { a: acts.allow, h: acts.hide, s: acts.skip, u: acts.undo, y: acts.alike }[letter(event)];
    if (!act) return;
    event.preventDefault();
    act();
  }

  async #fetch() {
    try {
      // Those skipped are at the head of the queue still: so many more are asked for.
      const n = Math.min(QUEUE + this.skipped.size, 200);
      const found = await patiently(() => api.reviewQueue(n, this.isSample), this.listener.tell);
      this.waiting = found.waiting;
      this.sampled = found.sampled;
      this.doubts = found.photos.filter(({ photo }) => !this.skipped.has(photo.id));
      this.#show();
    } catch (error) {
      this.listener.tell(error instanceof api.ApiError && error.status === 403 ? say("noReview") : messageOf(error));
    }
  }

  #show() {
    const doubt = this.doubts[0];
    this.part("count").textContent = this.waiting ? say(this.isSample ? "inSample" : "waiting", { n: this.waiting }) : "";
    this.part("switch").hidden = !(this.isSample || this.sampled);
    this.part("switch").textContent = this.isSample ? say("toWaiting") : say("toSample", { n: this.sampled });
    this.part("doubt").hidden = !doubt;
    this.part("done").hidden = Boolean(doubt);
    this.part("undo").disabled = !this.decided.length;
    this.part("undo-last").hidden = !this.decided.length;
    if (!doubt) {
      this.#showDone();
      return;
    }
    const image = this.part("doubtful");
    image.alt = `${say("doubtful")}: ${doubt.photo.name}`;
    if (image.dataset.id !== String(doubt.photo.id)) {
      image.dataset.id = String(doubt.photo.id);
      image.src = api.reviewPicture(doubt.photo.id);
    }
    this.part("photo-name").textContent = doubt.photo.name;
    this.part("reasons").replaceChildren(...reasons(doubt));
    const proposed = doubt.proposal?.ruling.verdict;
    this.part("alike").hidden = !proposed;
    if (proposed) this.part("alike").firstElementChild.textContent = say(proposed === "allow" ? "alikeAllow" : "alikeHide");
    if (this.doubts[1]) new Image().src = api.reviewPicture(this.doubts[1].photo.id); // read ahead
  }

  #showDone() {
    this.part("done-text").textContent = this.skipped.size ? say("skippedAll", { n: this.skipped.size }) : say("noneWaiting");
    this.part("again").hidden = !this.skipped.size;
  }

  /** As it was decided about a near duplicate, which is kept as the reason. */
  #decideAlike() {
    const proposal = this.doubts[0]?.proposal;
    if (proposal) this.#decide(proposal.ruling.verdict, proposal.photo);
  }

  async #decide(decision, alike) {
    const doubt = this.doubts[0];
    if (!doubt || this.isBusy) return;
    const outcome = await this.#send(doubt, decision, alike);
    if (!outcome) return;
    this.doubts.shift();
    this.waiting = Math.max(this.waiting - (outcome === "disputed" ? 0 : 1), 0);
    if (outcome === "ruled") this.decided.push(doubt);
    else this.skipped.add(doubt.photo.id); // what is left of it is for somebody else
    const key = OUTCOMES[outcome] ?? (decision === "allow" ? "doneAllow" : "doneHide");
    this.listener.tell(say(key, { name: doubt.photo.name }));
    if (this.doubts.some(({ photo }) => doubt.alike.includes(photo.id))) await this.#fetch(); // what is proposed now
    else await this.#next();
  }

  #switch() {
    this.isSample = !this.isSample;
    this.skipped.clear();
    return this.#fetch();
  }

  async #skip() {
    const doubt = this.doubts.shift();
    if (!doubt) return;
    this.skipped.add(doubt.photo.id);
    this.listener.tell(null);
    await this.#next();
  }

  async #undo() {
    const doubt = this.decided.at(-1);
    if (this.isBusy) return;
    if (!doubt) {
      this.listener.tell(say("nothingToUndo"));
      return;
    }
    if (!(await this.#send(doubt, "withdraw"))) return;
    this.decided.pop();
    this.doubts.unshift(doubt);
    this.waiting += 1;
    this.listener.tell(say("withdrawn", { name: doubt.photo.name }));
    this.#show();
  }

  async #send(doubt, decision, alike) {
    this.isBusy = true;
    try {
      const ask = () => api.decide(doubt.photo.id, decision, this.part("reason").value.trim(), alike);
      const { outcome } = await patiently(ask, this.listener.tell);
      this.listener.onDecided();
      return outcome;
    } catch (error) {
      this.listener.tell(messageOf(error));
      return null;
    } finally {
      this.isBusy = false;
    }
  }

  async #next() {
    if (this.doubts.length || this.waiting <= this.skipped.size) this.#show();
    else await this.#fetch();
  }

  #lookAgain() {
    this.skipped.clear();
    this.#fetch();
  }
}

/** Why the machine doubts, and what people said. @param {Doubt} doubt */
function* reasons({ assessment, ruling, request, proposal }) {
  if (request) {
    yield* reason(say(request.kind, { who: request.who }), request.why);
  }
  if (ruling) {
    yield* reason(say(ruling.verdict === "allow" ? "inForceAllow" : "inForceHide", { who: ruling.who }), ruling.why);
  }
  if (proposal) yield* likeness(proposal);
  if (!assessment) {
    yield* reason(say("notAssessed"));
    return;
  }
  yield* reason(say("aChild"), percent(assessment.probability), assessment.probability);
  if (assessment.scene !== null) yield* reason(say("scene"), percent(assessment.scene), assessment.scene);
  if (assessment.faces) {
    const ages = assessment.faces.map((age) => number(age)).join(", ");
    yield* reason(say("faces"), ages || say("noFace"));
  }
  if (assessment.words.length) yield* reason(say("wordsFound"), assessment.words.join(", "));
  if (assessment.failed.length) {
    yield* reason(say("failed"), assessment.failed.map((layer) => (LAYERS[layer] ? say(LAYERS[layer]) : layer)).join(", "));
  }
}

/** What was decided about a near duplicate, and its picture. */
function likeness({ photo, name, ruling }) {
  const title = say(ruling.verdict === "allow" ? "nearAllowed" : "nearHidden", { who: ruling.who });
  const [term, value] = reason(title, name);
  const image = document.createElement("img");
  image.alt = "";
  image.src = api.reviewPicture(photo, 160);
  value.prepend(image);
  return [term, value];
}

function reason(title, text = "", share = null) {
  const value = element("dd", "", text);
  if (share !== null) {
    const bar = element("span", "bar");
    const filled = document.createElement("i");
    filled.style.width = `${share * 100}%`;
    bar.append(filled);
    value.prepend(bar);
  }
  return [element("dt", "", title), value];
}
