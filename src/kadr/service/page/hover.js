// A pointer that rests on a photo asks why it is there.

const HOVER_MS = 600;

/**
 * @param {HTMLElement} list
 * @param {{onWhy: (index: number, cell: HTMLElement, how: "hover") => void, onWhyEnd: () => void}} listener
 */
export function listenToHover(list, listener) {
  let timer = 0;
  let over = /** @type {HTMLElement | null} */ (null);
  const leave = () => {
    clearTimeout(timer);
    if (over) listener.onWhyEnd();
    over = null;
  };
  list.addEventListener("pointerover", (event) => {
    const found = event.pointerType === "mouse" ? event.target.closest(".cell") : null;
    if (found === over) return;
    leave();
    if (!found || !found.dataset.index) return;
    over = found;
    timer = setTimeout(() => listener.onWhy(Number(found.dataset.index), found, "hover"), HOVER_MS);
  });
  list.addEventListener("pointerleave", leave);
}
