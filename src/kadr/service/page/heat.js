// Where in a photo the match lies, as a warm layer: what kadr.report.heatmap draws on sheets.

/** Dark orange to pale yellow: lighter is more, whatever colours one can tell apart. */
const COLD = [196, 64, 0];
const HOT = [255, 236, 96];
/** How much of the layer hides the photo where it is hottest. */
const DENSEST = 0.62;
/** How much darker the photo is where nothing matches. */
const DIM = 0.45;
const LONGEST = 160;

/**
 * A canvas in the photo's shape, to be laid over it; null where no place is above zero.
 * @param {number[][]} heat rows from top to bottom
 * @param {number} shape width by height of the photo
 */
export function heatLayer(heat, shape) {
  const width = Math.round(shape > 1 ? LONGEST : LONGEST * shape);
  const height = Math.round(shape > 1 ? LONGEST / shape : LONGEST);
  const smooth = spread(heat, width, height);
  const most = smooth.reduce((one, other) => Math.max(one, other), 0);
  if (most <= 0) return null;
  const canvas = document.createElement("canvas");
  canvas.className = "heat";
  [canvas.width, canvas.height] = [width, height];
  const pen = canvas.getContext("2d");
  const picture = pen.createImageData(width, height);
  smooth.forEach((value, at) => picture.data.set(pixel(Math.max(value, 0) / most), at * 4));
  pen.putImageData(picture, 0, 0);
  return canvas;
}

/**
 * Frames around regions of a photo, to be laid over it as the heat is.
 * @param {number[][]} regions left, top, right and bottom as fractions of the photo
 * @param {number} shape width by height of the photo
 */
export function regionLayer(regions, shape) {
  const space = "http://www.w3.org/2000/svg";
  const layer = document.createElementNS(space, "svg");
  const [width, height] = [1000 * shape, 1000];
  layer.setAttribute("class", "regions");
  layer.setAttribute("viewBox", `0 0 ${width} ${height}`);
  layer.setAttribute("preserveAspectRatio", "xMidYMid slice"); // as `object-fit: cover`
  layer.setAttribute("aria-hidden", "true"); // the caption says the words
  for (const [left, top, right, bottom] of regions) {
    const box = document.createElementNS(space, "rect");
    const sides = { x: left * width, y: top * height, width: (right - left) * width, height: (bottom - top) * height, rx: 6 };
    for (const [name, value] of Object.entries(sides)) box.setAttribute(name, String(value));
    layer.append(box);
  }
  return layer;
}

/** A dark veil under a warm one, as one colour. @param {number} warmth 0 to 1 */
function pixel(warmth) {
  const [warm, veil] = [DENSEST * warmth, DIM * (1 - warmth)];
  const alpha = 1 - (1 - warm) * (1 - veil);
  const part = alpha ? warm / alpha : 0;
  return [...COLD.map((cold, at) => (cold + (HOT[at] - cold) * warmth) * part), alpha * 255];
}

/** Smooth over width x height pixels. Cut at zero only after it: else zero's neighbours look warm. */
function spread(heat, width, height) {
  const [rows, columns] = [heat.length, heat[0].length];
  const made = new Float32Array(width * height);
  for (let y = 0; y < height; y++) {
    const [upper, lower, down] = between(y, height, rows);
    for (let x = 0; x < width; x++) {
      const [left, right, across] = between(x, width, columns);
      const above = heat[upper][left] + (heat[upper][right] - heat[upper][left]) * across;
      const below = heat[lower][left] + (heat[lower][right] - heat[lower][left]) * across;
      made[y * width + x] = above + (below - above) * down;
    }
  }
  return made;
}

/** The two cells that a pixel is between, and how far it is, eased so that no edges show. */
function between(at, pixels, cells) {
  const place = Math.min(Math.max(((at + 0.5) / pixels) * cells - 0.5, 0), cells - 1);
  const first = Math.floor(place);
  const share = place - first;
  return [first, Math.min(first + 1, cells - 1), share * share * (3 - 2 * share)];
}
