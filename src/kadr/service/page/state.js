// The page's state is its address: what is looked for, through which filters, which photo is open.

/** @typedef {"after" | "before" | "folder" | "camera" | "kind" | "near" | "min_size" | "collection" | "place" | "box"} Filter */
/**
 * @typedef {object} State
 * @property {string} q the query in kadr's notation
 * @property {number | null} like the photo that others should be like
 * @property {File | null} picture one from outside; no address can hold it
 * @property {Partial<Record<Filter, string>>} filters
 * @property {number | null} photo the one in full screen
 * @property {"review" | "folders" | "collections" | "map" | "bin" | null} view what is there in place of photos
 */

export const FILTERS = /** @type {Filter[]} */ (["after", "before", "folder", "camera", "kind", "near", "min_size", "collection", "place", "box"]);

const VIEWS = /** @type {const} */ (["review", "folders", "collections", "map", "bin"]);

/** Pictures by their name in history.state. They last as long as the page. @type {Map<string, File>} */
const pictures = new Map();
/** @type {(state: State, isBack?: boolean) => void} */
let changed = () => {};

/** @returns {State} */
export function read() {
  const query = new URLSearchParams(location.search);
  const number = (name) => (/^\d+$/.test(query.get(name) ?? "") ? Number(query.get(name)) : null);
  return {
    q: query.get("q") ?? "",
    like: number("like"),
    picture: pictures.get(history.state?.picture) ?? null,
    filters: Object.fromEntries(FILTERS.filter((name) => query.get(name)).map((name) => [name, query.get(name)])),
    photo: number("photo"),
    view: VIEWS.find((name) => name === query.get("view")) ?? null,
  };
}

/** The address of a state. @param {State} state */
export function address(state) {
  const query = new URLSearchParams();
  if (state.q) query.set("q", state.q);
  if (state.like !== null) query.set("like", String(state.like));
  for (const name of FILTERS) if (state.filters[name]) query.set(name, state.filters[name]);
  if (state.photo !== null) query.set("photo", String(state.photo));
  if (state.view) query.set("view", state.view);
  const text = query.toString();
  return text ? `?${text}` : location.pathname;
}

/**
 * Go on to another state.
 * @param {Partial<State>} change
 * @param {{replace?: boolean, inside?: boolean}} [how] replace: leave no step to go back to;
 *     inside: the step before is this page, so that closing may go back to it
 */
export function go(change, { replace = false, inside = false } = {}) {
  const state = { ...read(), ...change };
  const kept = { picture: place(state.picture), inside: inside || (replace && history.state?.inside === true) };
  history[replace ? "replaceState" : "pushState"](kept, "", address(state));
  changed(read());
}

/** Whether the step before the present one is this page in another state. */
export function cameFromInside() {
  return history.state?.inside === true;
}

/** @param {(state: State, isBack?: boolean) => void} listener isBack: by the browser's back or forward */
export function onChange(listener) {
  changed = listener;
  addEventListener("popstate", () => listener(read(), true));
}

/** @param {File | null} picture */
function place(picture) {
  if (!picture) return undefined;
  for (const [name, known] of pictures) if (known === picture) return name;
  const name = `${performance.timeOrigin}/${pictures.size}`; // no other after a reload
  pictures.set(name, picture);
  return name;
}
