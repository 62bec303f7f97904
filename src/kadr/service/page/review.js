// People decide what the machine can't: one photo or many at once, those first that settle most.

import * as api from "./api.js";
import { patiently, messageOf } from "./errors.js";
import { isTyping, letter } from "./keys.js";
import { reasons } from "./reasons.js";
import { ReviewGrid } from "./reviewgrid.js";
import { describe, say } from "./texts.js";

/** @typedef {{photo: api.Photo, assessment: any, ruling: any, request: any, alike: number[], proposal: any}} Doubt */

const QUEUE = 100;
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
    /** What can be undone, what was decided together together, the last last. @type {Doubt[][]} */
    this.decided = [];
    /** Which doubt is looked at, and where a range of chosen ones begins. */
    this.current = this.anchor = 0;
    /** Those that are decided together: ids. @type {Set<number>} */
    this.chosen = new Set();
    this.grid = new ReviewGrid(this.part("tiles"), {
      onCurrent: (at) => this.#look(at),
      onChoose: (at, isRange) => this.#choose(at, isRange),
      onLarge: () => this.#enlarge(true),
    });
    this.part("picture").addEventListener("click", () => this.#enlarge(false));
    this.isBusy = false;
    for (const [name, act] of Object.entries(this.#acts())) this.part(name).addEventListener("click", act);
    for (const [name, act] of [["undo-last", this.#undo], ["switch", this.#switch], ["again", this.#lookAgain]]) {
      this.part(name).addEventListener("click", () => act.call(this));
    }
    document.addEventListener("keydown", (event) => this.#key(event));
  }

  get isOpen() {
    return !this.section.hidden;
  }

  async open() {
    if (this.isOpen) return;
    this.section.hidden = false;
    this.skipped.clear();
    this.chosen.clear();
    this.#enlarge(false);
    this.part("heading").focus({ preventScroll: true });
    scrollTo(0, 0);
    await this.#fetch();
  }

  close() {
    this.section.hidden = true;
  }

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
    if (!this.isOpen || event.ctrlKey || event.metaKey || event.altKey) return;
    if (isTyping(event.target) || document.querySelector("dialog[open]")) return;
    const acts = this.#acts();
    const step = this.grid.step(event.key);
    const isOnButton = event.target.matches("button:not(.tile), a");
    const act = step ? () => this.#move(step) : {
      a: acts.allow, h: acts.hide, s: acts.skip, u: acts.undo, y: acts.alike,
      x: () => this.#choose(this.current, event.shiftKey),
      Enter: isOnButton ? null : () => this.#enlarge(!this.isLarge),
      Escape: this.#escape(),
    }[letter(event)];
    if (!act || (event.repeat && !step)) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    act();
  }

  /** What Escape leaves here; null: nothing. */
  #escape() {
    if (this.isLarge) return () => this.#enlarge(false);
    const unchoose = () => {
      this.chosen.clear();
      this.#show();
    };
    return this.chosen.size ? unchoose : null;
  }

  /** @param {number} at */
  #look(at) {
    if (at === this.current) return;
    this.current = at;
    this.#show();
  }

  #move(step) {
    const to = this.current + step;
    if (to < 0 || to >= this.doubts.length) return;
    this.#look(to);
    if (!this.isLarge) this.grid.focus(to);
  }

  #choose(at, isRange) {
    const [from, to] = isRange ? [Math.min(this.anchor, at), Math.max(this.anchor, at)] : [at, at];
    for (const { photo } of this.doubts.slice(from, to + 1)) {
      if (!isRange && this.chosen.delete(photo.id)) continue;
      this.chosen.add(photo.id);
    }
    this.anchor = this.current = at;
    this.#show();
  }

  /** @param {boolean} isLarge whether one photo is there in place of all */
  #enlarge(isLarge) {
    this.isLarge = isLarge;
    this.part("picture").hidden = !isLarge;
    this.part("tiles").hidden = isLarge;
    if (this.doubts.length) this.#show();
    if (!isLarge && this.isOpen) this.grid.focus(this.current);
  }

  /** What a decision is about: those that are chosen, else the one that is looked at. @returns {Doubt[]} */
  get #targets() {
    const chosen = this.doubts.filter(({ photo }) => this.chosen.has(photo.id));
    return chosen.length ? chosen : this.doubts.slice(this.current, this.current + 1);
  }

  async #fetch() {
    try {
      // Those skipped are at the head of the queue still: so many more are asked for.
      const n = Math.min(QUEUE + this.skipped.size, 200);
      const found = await patiently(() => api.reviewQueue(n, this.isSample), this.listener.tell);
      this.waiting = found.waiting;
      this.sampled = found.sampled;
      this.doubts = found.photos.filter(({ photo }) => !this.skipped.has(photo.id));
      this.current = 0;
      this.#show();
    } catch (error) {
      this.listener.tell(error instanceof api.ApiError && error.status === 403 ? say("noReview") : messageOf(error));
    }
  }

  #show() {
    this.current = Math.max(Math.min(this.current, this.doubts.length - 1), 0);
    const doubt = this.doubts[this.current];
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
    this.grid.show(this.doubts, this.current, this.chosen);
    if (this.isLarge) this.#showLarge(doubt);
    this.part("for-many").hidden = !this.chosen.size;
    this.part("for-many").textContent = say("forMany", { n: this.chosen.size });
    this.part("photo-name").textContent = doubt.photo.name;
    this.part("reasons").replaceChildren(...reasons(doubt));
    const proposed = doubt.proposal?.ruling.verdict;
    this.part("alike").hidden = !proposed || this.chosen.size > 1;
    if (proposed) this.part("alike").firstElementChild.textContent = say(proposed === "allow" ? "alikeAllow" : "alikeHide");
  }

  #showLarge(doubt) {
    const image = this.part("doubtful");
    image.alt = `${say("doubtful")}: ${describe(doubt.photo)}`;
    if (image.dataset.id !== String(doubt.photo.id)) {
      image.dataset.id = String(doubt.photo.id);
      image.src = api.reviewPicture(doubt.photo.id);
    }
    const next = this.doubts[this.current + 1];
    if (next) new Image().src = api.reviewPicture(next.photo.id); // read ahead
  }

  #showDone() {
    this.part("done-text").textContent = this.skipped.size ? say("skippedAll", { n: this.skipped.size }) : say("noneWaiting");
    this.part("again").hidden = !this.skipped.size;
  }

  /** As it was decided about a near duplicate, which is kept as the reason. */
  #decideAlike() {
    const doubt = this.doubts[this.current];
    if (doubt?.proposal) this.#decide(doubt.proposal.ruling.verdict, [doubt]);
  }

  /** @param {"allow" | "hide"} decision @param {Doubt[]} [alike] the one that follows its near duplicate */
  async #decide(decision, alike) {
    const targets = alike ?? this.#targets;
    if (this.isBusy) return;
    const ruled = [];
    let outcome = null;
    for (const doubt of targets) {
      outcome = await this.#send(doubt, decision, alike && doubt.proposal.photo);
      if (!outcome) break; // what is left stays, and can be tried again
      this.waiting = Math.max(this.waiting - (outcome === "disputed" ? 0 : 1), 0);
      if (outcome === "ruled") ruled.push(doubt);
      else this.skipped.add(doubt.photo.id); // what is left of it is for somebody else
      this.#drop(doubt);
      const key = OUTCOMES[outcome] ?? (decision === "allow" ? "doneAllow" : "doneHide");
      this.listener.tell(say(key, { name: doubt.photo.name }));
    }
    if (ruled.length) this.decided.push(ruled);
    if (ruled.length > 1) this.listener.tell(say(decision === "allow" ? "manyAllowed" : "manyHidden", { n: ruled.length }));
    const near = new Set(targets.flatMap((doubt) => doubt.alike));
    if (outcome && this.doubts.some(({ photo }) => near.has(photo.id))) await this.#fetch(); // what is proposed now
    else await this.#next();
  }

  #drop(doubt) {
    this.doubts = this.doubts.filter((one) => one !== doubt);
    this.chosen.delete(doubt.photo.id);
  }

  #switch() {
    this.isSample = !this.isSample;
    this.chosen.clear();
    this.skipped.clear();
    return this.#fetch();
  }

  async #skip() {
    for (const doubt of this.#targets) {
      this.skipped.add(doubt.photo.id);
      this.#drop(doubt);
    }
    this.listener.tell(null);
    await this.#next();
  }

  /** What was decided together is taken back together. */
  async #undo() {
    const last = this.decided.at(-1);
    if (this.isBusy) return;
    if (!last) {
      this.listener.tell(say("nothingToUndo"));
      return;
    }
    const count = last.length;
    while (last.length && (await this.#send(last.at(-1), "withdraw"))) {
      const doubt = last.pop();
      this.doubts.unshift(doubt);
      this.waiting += 1;
      this.listener.tell(count > 1 ? say("manyWithdrawn", { n: count }) : say("withdrawn", { name: doubt.photo.name }));
    }
    if (!last.length) this.decided.pop();
    this.current = 0;
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
