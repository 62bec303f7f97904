// The square map of the world (Web Mercator): places in degrees, and where they are on it, 0 to 1.

/** Latitude at the edge of the square. */
const NORTHMOST = 85.0511287798066;
/** Pixels of the world's side at zoom 0. */
const TILE = 256;

/** @typedef {{x: number, y: number}} Point from the date line to the east, and from the north */

/** @param {number} latitude @param {number} longitude @returns {Point} */
export function project(latitude, longitude) {
  const angle = (Math.max(-NORTHMOST, Math.min(NORTHMOST, latitude)) * Math.PI) / 180;
  return { x: (longitude + 180) / 360, y: (1 - Math.asinh(Math.tan(angle)) / Math.PI) / 2 };
}

/** @param {number} y */
export function latitudeAt(y) {
  return (Math.atan(Math.sinh(Math.PI * (1 - 2 * y))) * 180) / Math.PI;
}

/** Pixels of the world's side. @param {number} zoom */
export function side(zoom) {
  return TILE * 2 ** zoom;
}

/** Round the world, back to 0 to 1. @param {number} x */
export function wrapped(x) {
  return x - Math.floor(x);
}

/** A part of the map. */
export class Part {
  /** @param {Point} centre @param {number} zoom @param {number} width pixels @param {number} height */
  constructor(centre, zoom, width, height) {
    this.centre = centre;
    this.zoom = zoom;
    this.width = width;
    this.height = height;
  }

  /** Where a point is in pixels, on that turn of the world that is nearest. @param {Point} point @returns {Point} */
  pixels({ x, y }) {
    const turned = x - this.centre.x - Math.round(x - this.centre.x);
    return { x: this.width / 2 + turned * side(this.zoom), y: this.height / 2 + (y - this.centre.y) * side(this.zoom) };
  }

  /** What lies in it, in degrees: east is less than west across the date line. */
  box() {
    const wide = this.width / side(this.zoom);
    const high = this.height / side(this.zoom);
    const degrees = (x) => wrapped(x) * 360 - 180;
    const whole = wide >= 1;
    return {
      west: whole ? -180 : degrees(this.centre.x - wide / 2),
      east: whole ? 180 : degrees(this.centre.x + wide / 2),
      south: this.centre.y + high / 2 >= 1 ? -90 : latitudeAt(this.centre.y + high / 2),
      north: this.centre.y - high / 2 <= 0 ? 90 : latitudeAt(this.centre.y - high / 2),
    };
  }

  /** The same, moved by pixels; the world has an end in the north and the south. */
  moved(right, down) {
    const y = this.centre.y + down / side(this.zoom);
    return new Part({ x: wrapped(this.centre.x + right / side(this.zoom)), y: this.#kept(y, this.zoom) }, this.zoom, this.width, this.height);
  }

  /** The same at another zoom, with what lies at a pixel kept there. */
  zoomed(zoom, { x, y }) {
    const bounded = Math.max(this.least, Math.min(18, zoom));
    const change = 1 / side(this.zoom) - 1 / side(bounded);
    const at = { x: wrapped(this.centre.x + (x - this.width / 2) * change), y: this.centre.y + (y - this.height / 2) * change };
    return new Part({ x: at.x, y: this.#kept(at.y, bounded) }, bounded, this.width, this.height);
  }

  /** The least zoom: the world is as high as the part, or nearly as wide. */
  get least() {
    return Math.max(0, Math.log2(Math.min(this.height, this.width) / TILE) - 0.2);
  }

  #kept(y, zoom) {
    const half = Math.min(0.5, this.height / side(zoom) / 2);
    return Math.max(half, Math.min(1 - half, y));
  }
}

/** The part that holds points as large as may be. @param {Point[]} points @param {number} width @param {number} height */
export function around(points, width, height) {
  const xs = points.map(({ x }) => x);
  const ys = points.map(({ y }) => y);
  const [left, right, top, bottom] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const fits = Math.log2(Math.min((width * 0.7) / Math.max(right - left, 1e-6), (height * 0.7) / Math.max(bottom - top, 1e-6)) / TILE);
  const part = new Part({ x: (left + right) / 2, y: (top + bottom) / 2 }, 0, width, height);
  const zoom = Math.max(part.least, Math.min(11, fits));
  return new Part(part.centre, zoom, width, height).moved(0, 0);
}
