// Keys by what is printed on them, on a Russian keyboard by the Latin letter beside.

const LATIN = { а: "f", с: "c", ф: "a", р: "h", ы: "s", г: "u", у: "e", ь: "m", н: "y", ш: "i", ч: "x", в: "d" };

/** @param {KeyboardEvent} event */
export function letter(event) {
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (event.code === "Slash" && key === ".") return "/";
  if (event.code === "Slash" && key === ",") return "?"; // Shift on the same key
  return LATIN[key] ?? key;
}

/** Whether keys are letters of a text there. @param {EventTarget | null} target */
export function isTyping(target) {
  return target instanceof HTMLElement && target.matches("input, textarea, select");
}
