// The one calm line in which the page says what happened.

const place = document.getElementById("line");

/** One calm line. @param {string | null} line */
export function tell(line) {
  place.textContent = line ?? "";
}

/** For one part of the page, which takes back only what it said itself. */
export function teller() {
  let said = "";
  return (/** @type {string | null} */ line) => {
    if (line === null && place.textContent !== said) return;
    said = line ?? "";
    tell(line);
  };
}
