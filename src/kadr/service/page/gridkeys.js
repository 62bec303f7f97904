// Where the arrows lead in the grid.

/** @typedef {import("./layout.js").Row} Row @typedef {import("./feed.js").Item} Item */

/** Whether the keyboard can stand there; in a gap it waits for the photos. @param {Item} item */
const isPlace = (item) => item.kind === "photo" || item.kind === "gap";

/** The next item that is a photo or will be; -1: none. @param {Item[]} items @param {number} from @param {1 | -1} step */
export function beside(items, from, step) {
  for (let at = from + step; at >= 0 && at < items.length; at += step) if (isPlace(items[at])) return at;
  return -1;
}

/**
 * The item nearest in the next row that has any.
 * @param {Item[]} items @param {Row[]} rows
 * @param {number} from the row that is left
 * @param {number} current the item that is left
 * @param {1 | -1} step
 */
export function above(items, rows, from, current, step) {
  if (from < 0) return -1;
  const box = rows[from].boxes[current - rows[from].first];
  const middle = box.left + box.width / 2;
  for (let at = from + step; at >= 0 && at < rows.length; at += step) {
    const { first, boxes } = rows[at];
    const near = boxes
      .map((one, place) => ({ index: first + place, distance: Math.abs(one.left + one.width / 2 - middle) }))
      .filter(({ index }) => isPlace(items[index]))
      .sort((one, other) => one.distance - other.distance);
    if (near.length) return near[0].index;
  }
  return -1;
}
