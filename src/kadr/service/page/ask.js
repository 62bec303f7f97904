// A small dialog that asks one thing.

/**
 * @param {HTMLDialogElement} dialog with a heading, a form that has at most one field, and a button to leave it
 * @param {string} heading
 * @param {string} [value] what stands in the field at first
 * @returns {Promise<string | null>} what was written, "" where there is no field; null: it was left
 */
export function ask(dialog, heading, value = "") {
  const form = dialog.querySelector("form");
  const field = form.querySelector("input");
  dialog.querySelector("h2").textContent = heading;
  if (field) field.value = value;
  dialog.showModal();
  field?.select();
  return new Promise((resolve) => {
    const listening = new AbortController();
    const { signal } = listening;
    const end = (answer) => {
      listening.abort();
      dialog.close();
      resolve(answer);
    };
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      end(field ? field.value.trim() : "");
    }, { signal });
    dialog.querySelector(".cancel").addEventListener("click", () => end(null), { signal });
    dialog.addEventListener("close", () => end(null), { signal }); // by Escape, or with the page's state
  });
}
