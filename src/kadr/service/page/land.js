// What lies under the photos of the map: lines of degrees, and the land, drawn by the towns on it.

import { project, side } from "./mercator.js";

/** Degrees between lines, the first that leaves them far enough apart. */
const STEPS = [0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30];
const COLUMNS = 720;

/** Cells of half a degree as rectangles of the map. @param {number[]} steps as the service tells them */
export function rectangles(steps) {
  let cell = 0;
  return steps.map((step) => {
    cell += step;
    const [south, west] = [Math.floor(cell / COLUMNS) / 2 - 90, (cell % COLUMNS) / 2 - 180];
    const low = project(south, west);
    const high = project(south + 0.5, west + 0.5);
    return { x: low.x, y: high.y, width: high.x - low.x, height: low.y - high.y };
  });
}

/**
 * @param {HTMLCanvasElement} canvas
 * @param {import("./mercator.js").Part} part
 * @param {ReturnType<typeof rectangles>} land
 */
export function draw(canvas, part, land) {
  const ratio = devicePixelRatio || 1;
  canvas.width = part.width * ratio;
  canvas.height = part.height * ratio;
  const context = canvas.getContext("2d");
  const style = getComputedStyle(canvas);
  context.scale(ratio, ratio);
  context.fillStyle = style.color;
  const scale = side(part.zoom);
  const [left, top] = [part.width / 2 - part.centre.x * scale, part.height / 2 - part.centre.y * scale];
  for (let turn = -2; turn <= 2; turn++) {
    for (const { x, y, width, height } of land) {
      const at = left + (x + turn) * scale;
      if (at + width * scale < 0 || at > part.width) continue;
      context.fillRect(at, top + y * scale, Math.max(width * scale, 1) + 0.4, Math.max(height * scale, 1) + 0.4);
    }
  }
  lines(context, part, style.borderColor);
}

/** @param {CanvasRenderingContext2D} context @param {import("./mercator.js").Part} part @param {string} colour */
function lines(context, part, colour) {
  const { west, east, south, north } = part.box();
  const perDegree = side(part.zoom) / 360;
  const step = STEPS.find((one) => one * perDegree >= 90) ?? 45;
  context.strokeStyle = colour;
  context.lineWidth = 1;
  context.beginPath();
  const until = east < west ? east + 360 : east;
  for (let degrees = Math.ceil(west / step) * step; degrees <= until; degrees += step) {
    const at = part.pixels(project(0, degrees)).x;
    context.moveTo(at, 0);
    context.lineTo(at, part.height);
  }
  for (let degrees = Math.ceil(south / step) * step; degrees <= north; degrees += step) {
    const at = part.pixels(project(degrees, 0)).y;
    context.moveTo(0, at);
    context.lineTo(part.width, at);
  }
  context.stroke();
}
