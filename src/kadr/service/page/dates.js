// Dates of filters, as kadr.library.filters reads them: 2024, 2024-05, 2024-05-17, 2024-05-17T12:30.

const DATE = /^(\d{4})(?:-(\d\d)(?:-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d))?)?)?)?$/;
const DAY_MS = 86_400_000;

/**
 * The day that people see: of `after` the first that passes, of `before` the last.
 * @param {"after" | "before"} filter
 * @param {string} text
 * @returns {Date | null} its first moment; null where the text is no date
 */
export function firstOrLastDay(filter, text) {
  const moment = parse(text);
  if (!moment) return null;
  const within = filter === "before" ? moment.getTime() - 1000 : moment.getTime();
  return new Date(Math.floor(within / DAY_MS) * DAY_MS);
}

/** The same as a field for dates takes it; empty where there is none. @param {"after" | "before"} filter @param {string} text */
export function shownDay(filter, text) {
  return firstOrLastDay(filter, text)?.toISOString().slice(0, 10) ?? "";
}

/** The text of a filter by its day, which counts. @param {"after" | "before"} filter @param {string} day */
export function fromDay(filter, day) {
  if (filter === "after" || !day) return day;
  return new Date(Date.parse(day) + DAY_MS).toISOString().slice(0, 10);
}

/** The first moment of a year, month, day or minute. @param {string} text @returns {Date | null} */
function parse(text) {
  const found = DATE.exec(text.trim());
  if (!found) return null;
  const [year, month = "01", date = "01", hour = "00", minute = "00", second = "00"] = found.slice(1);
  const iso = `${year}-${month}-${date}T${hour}:${minute}:${second}.000Z`;
  const moment = new Date(iso);
  // Some engines take February 30th for March 2nd, and 24:00 for the next day.
  return year !== "0000" && !Number.isNaN(moment.getTime()) && moment.toISOString() === iso ? moment : null;
}
