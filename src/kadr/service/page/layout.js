// Where photos go: rows of one height that fill the width, in the photos' own shapes.

/** @typedef {{left: number, width: number}} Box */
/**
 * @typedef {object} Row
 * @property {number} top
 * @property {number} height of the row, captions included
 * @property {number} photo height of its photos
 * @property {number} first which item it begins with
 * @property {import("./feed.js").Item} item that one
 * @property {Box[]} boxes one for each of its items
 */
/** @typedef {{width: number, ideal: number, gap: number, caption: number}} Measures */

const NARROWEST = 0.5;
const WIDEST = 2.6;
/** Of a photo without a size. */
const USUAL = 4 / 3;
/** Pixels: of a letter in a line between photos, of a row of them, and above and below the line. */
const LETTER = 9.5;
const TEXT_ROW = 22;
const ABOVE = 32;
/** The usual photo's shape, by which the height of what isn't here yet is guessed. */
const GUESSED = 1.3;
const BELOW = 14;

/** @param {import("./feed.js").Item} item */
export function shape(item) {
  const { width, height } = item.photo;
  return Math.min(Math.max(width / height || USUAL, NARROWEST), WIDEST);
}

/**
 * Rows for the items from `first` on. A last row that isn't full is left for later, unless
 * `complete`: so a row that was laid out never moves when more photos come.
 * @param {import("./feed.js").Item[]} items
 * @param {number} first
 * @param {number} top
 * @param {Measures} measures
 * @param {boolean} complete
 * @returns {Row[]}
 */
export function layOut(items, first, top, measures, complete) {
  /** @type {Row[]} */
  const rows = [];
  let start = first;
  let sum = 0;
  const close = (end, stretched) => {
    if (end > start) rows.push(row(items, start, end, top, measures, stretched));
    top = end > start ? bottom(rows.at(-1)) + measures.gap : top;
    start = end;
    sum = 0;
  };
  for (let at = first; at < items.length; at++) {
    if (items[at].kind === "gap") {
      close(at, true);
      rows.push(gapRow(items[at], at, top, measures));
      top = bottom(rows.at(-1)) + measures.gap;
      start = at + 1;
      continue;
    }
    if (items[at].kind === "line") {
      close(at, false);
      const text = TEXT_ROW * Math.ceil((items[at].text.length * LETTER) / measures.width);
      const height = text + BELOW + (at === 0 ? 0 : ABOVE);
      rows.push({ top, height, photo: height, first: at, item: items[at], boxes: [{ left: 0, width: measures.width }] });
      top += height;
      start = at + 1;
      continue;
    }
    const before = start === at ? Infinity : fitting(sum, at - start, measures);
    sum += shape(items[at]);
    const height = fitting(sum, at - start + 1, measures);
    if (height > measures.ideal) continue;
    // Full: with this photo the row is lower than ideal, without it higher. Which is nearer?
    if (before - measures.ideal < measures.ideal - height) {
      close(at, true);
      sum = shape(items[at]);
      if (fitting(sum, 1, measures) <= measures.ideal) close(at + 1, true);
    } else close(at + 1, true);
  }
  if (complete) close(items.length, false);
  return rows;
}

/** Where the next row would begin. @param {Row | undefined} last */
export function bottom(last) {
  return last ? last.top + last.height : 0;
}

/** The height at which so many photos fill the width. */
function fitting(sum, count, { width, gap }) {
  return (width - (count - 1) * gap) / sum;
}

/** @returns {Row} */
function gapRow(item, first, top, { width, ideal, gap, caption }) {
  const inRow = Math.max(Math.floor(width / (GUESSED * ideal + gap)), 1);
  const rows = Math.ceil(item.count / inRow);
  const height = Math.round(rows * (ideal + caption + gap) - gap);
  return { top, height, photo: height, first, item, boxes: [{ left: 0, width }] };
}

/** @returns {Row} */
function row(items, start, end, top, measures, stretched) {
  const shapes = items.slice(start, end).map(shape);
  const full = fitting(shapes.reduce((sum, one) => sum + one, 0), shapes.length, measures);
  const photo = Math.round(stretched ? full : Math.min(full, measures.ideal));
  const boxes = [];
  let left = 0;
  for (const [at, one] of shapes.entries()) {
    const isLast = stretched && at === shapes.length - 1;
    const width = isLast ? measures.width - left : Math.round(one * (stretched ? full : photo));
    boxes.push({ left, width });
    left += width + measures.gap;
  }
  return { top, height: photo + measures.caption, photo, first: start, item: items[start], boxes };
}
