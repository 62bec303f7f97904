// Looking closer: wheel, double click, pinch and keys zoom, dragging moves, a swipe turns the page.

/** @typedef {{x: number, y: number}} Point pixels from the stage's middle */

const CLOSEST = 8;
const STEP = 1.5;
const AT_ONCE = 2.5;
/** A finger that moves so many pixels sideways turns the page. */
const SWIPE = 60;

export class Zoom {
  /**
   * @param {HTMLElement} stage what the photo may be moved in
   * @param {HTMLElement} frame what is moved
   * @param {{onZoomed: (scale: number) => void, onSwipe: (step: 1 | -1) => void}} listener
   */
  constructor(stage, frame, listener) {
    this.stage = stage;
    this.frame = frame;
    this.listener = listener;
    this.#listenToMouse();
    this.#listenToFingers();
    this.reset();
  }

  /** The whole photo again. */
  reset() {
    this.scale = 1;
    this.at = { x: 0, y: 0 };
    this.#apply();
  }

  /** A step closer or away. @param {1 | -1} direction */
  step(direction) {
    this.#to(this.scale * (direction > 0 ? STEP : 1 / STEP), { x: 0, y: 0 });
  }

  /** To a scale, so that what lies at a point stays there. @param {number} scale @param {Point} point */
  #to(scale, point) {
    const next = Math.min(Math.max(scale, 1), CLOSEST);
    const ratio = next / this.scale;
    this.scale = next;
    this.at = { x: point.x - (point.x - this.at.x) * ratio, y: point.y - (point.y - this.at.y) * ratio };
    this.#apply();
    this.listener.onZoomed(next);
  }

  #move(x, y) {
    this.at = { x: this.at.x + x, y: this.at.y + y };
    this.#apply();
  }

  #apply() {
    const most = (own, room) => Math.max((own * this.scale - room) / 2, 0);
    const [wide, high] = [most(this.frame.offsetWidth, this.stage.clientWidth), most(this.frame.offsetHeight, this.stage.clientHeight)];
    this.at = { x: Math.min(Math.max(this.at.x, -wide), wide), y: Math.min(Math.max(this.at.y, -high), high) };
    this.frame.style.transform = this.scale === 1 ? "" : `translate(${this.at.x}px, ${this.at.y}px) scale(${this.scale})`;
    this.stage.classList.toggle("closer", this.scale > 1);
  }

  /** @param {{clientX: number, clientY: number}} event @returns {Point} */
  #point({ clientX, clientY }) {
    const { left, top, width, height } = this.stage.getBoundingClientRect();
    return { x: clientX - left - width / 2, y: clientY - top - height / 2 };
  }

  #listenToMouse() {
    const { stage } = this;
    stage.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.#to(this.scale * Math.exp(-event.deltaY / (event.ctrlKey ? 100 : 400)), this.#point(event));
    }, { passive: false });
    stage.addEventListener("dblclick", (event) => {
      if (this.frame.contains(event.target)) this.#to(this.scale > 1 ? 1 : AT_ONCE, this.#point(event));
    });
    let from = /** @type {Point | null} */ (null);
    stage.addEventListener("pointerdown", (event) => {
      if (event.pointerType !== "mouse" || event.button || this.scale === 1) return;
      from = this.#point(event);
      stage.setPointerCapture(event.pointerId);
    });
    stage.addEventListener("pointermove", (event) => {
      if (!from) return;
      const to = this.#point(event);
      this.#move(to.x - from.x, to.y - from.y);
      from = to;
    });
    for (const end of ["pointerup", "pointercancel"]) stage.addEventListener(end, () => (from = null));
  }

  #listenToFingers() {
    let before = /** @type {{middle: Point, apart: number} | null} */ (null);
    /** Where a single finger went down that may yet turn the page. */
    let start = /** @type {number | null} */ (null);
    const held = (touches) => {
      const points = [...touches].slice(0, 2).map((touch) => this.#point(touch));
      const sum = points.reduce((one, other) => ({ x: one.x + other.x, y: one.y + other.y }));
      const apart = points.length === 2 ? Math.hypot(points[0].x - points[1].x, points[0].y - points[1].y) : 0;
      return { middle: { x: sum.x / points.length, y: sum.y / points.length }, apart };
    };
    const { stage } = this;
    stage.addEventListener("touchstart", ({ touches }) => {
      before = held(touches);
      start = touches.length === 1 && this.scale === 1 ? touches[0].clientX : null;
    }, { passive: true });
    stage.addEventListener("touchmove", ({ touches }) => {
      const now = held(touches);
      if (before && now.apart && before.apart) this.#to((this.scale * now.apart) / before.apart, now.middle);
      if (before && this.scale > 1) this.#move(now.middle.x - before.middle.x, now.middle.y - before.middle.y);
      before = now;
    }, { passive: true });
    stage.addEventListener("touchend", ({ touches, changedTouches }) => {
      const moved = start === null ? 0 : changedTouches[0].clientX - start;
      if (Math.abs(moved) > SWIPE) this.listener.onSwipe(moved > 0 ? -1 : 1);
      start = null;
      before = touches.length ? held(touches) : null;
    });
  }
}
