// The key that the service may ask for. It is kept by the browser as a cookie that no script reads.

import * as api from "./api.js";
import { messageOf } from "./errors.js";
import { say } from "./texts.js";

/** @param {HTMLDialogElement} dialog @param {() => void} onOpened */
export function askForKeys(dialog, onOpened) {
  const form = dialog.querySelector("form");
  const field = dialog.querySelector("input[type=password]");
  const line = dialog.querySelector(".line");
  api.asks.forKey = () => {
    if (!dialog.open) dialog.showModal();
  };
  dialog.addEventListener("cancel", (event) => event.preventDefault()); // without a key there is nothing behind it
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      await api.openSession(field.value.trim());
      field.value = line.textContent = "";
      dialog.close();
      onOpened();
    } catch (error) {
      const isWrong = error instanceof api.ApiError && error.status === 401;
      line.textContent = isWrong ? say("keyWrong") : messageOf(error);
      field.select();
    }
  });
}
