// kadr's notation of queries, as kadr.library.queries reads it: `dog on grass + 0.5:snow - leash`.

/** @typedef {{sign: 1 | -1, weight: number, text: string, raw: string}} Part raw: as typed, weight and quotes included */
/** @typedef {{word: string, state: "plain" | "more" | "less", needed: boolean}} Word needed: nothing else is looked for */

const QUOTES = /"[^"]*"|«[^»]*»|“[^”]*”/.source;
const APOSTROPHES = /'(?:[^']|'(?!\s|$))*'(?=\s|$)/.source;
const WEIGHT = /[0-9]{1,9}(?:[.,][0-9]{0,9})?:(?=[^\s0-9])/.source;
const KEY = "(?:(?:after|before|camera|kind|in|collection|place):(?=\\S))";
const NOT = "[-\u2212]";
const WORD = new RegExp(`(?:${KEY}|${NOT})?(?:${QUOTES})\\S*|\\S+`, "y");
const FIRST_WORD = new RegExp(`(?:${WEIGHT})?(?:(?:${APOSTROPHES})|(?:${QUOTES})\\S*)|(?:${KEY}|${NOT})(?:${QUOTES})\\S*|\\S+`, "y");
const FILTER = /^(after|before|camera|kind|in|collection|place):(\S[^]*)$/;
const NEGATED = new RegExp(`^${NOT}(?:(${QUOTES})|(\\p{L}\\S.*))$`, "su");
const WHOLE = new RegExp(`^(?:${QUOTES}|${APOSTROPHES})$`);
const CLOSING = { '"': '"', "«": "»", "“": "”" };

/** Words that show nothing by themselves get no buttons. */
const SMALL = new Set(
  "a an the of on in at to by with and or is are и в во на с со у к ко по под над за из о об от до для".split(" "),
);

/**
 * What may be sent while somebody is still typing: without an operator that nothing follows yet, and
 * with the quote closed that is still open.
 * @param {string} q
 */
export function finished(q) {
  let text = q.trim();
  for (const [opening, closing] of Object.entries(CLOSING)) {
    const last = text.lastIndexOf(opening);
    const opens = last === 0 || /[\s:\u2212-]/.test(text[last - 1] ?? "");
    if (last >= 0 && opens && !text.includes(closing, last + 1)) text += closing;
  }
  return text.replace(/(?:^|\s+)[+-]$/, "").replace(/(?:^|\s)(?:""|«»|“”)$/, "").trim();
}

/** @param {string} q @returns {Part[]} */
export function parse(q) {
  /** @type {Part[]} */
  const parts = [];
  let sign = /** @type {1 | -1} */ (1);
  let words = [];
  const close = () => {
    if (words.length) parts.push(part(sign, words.join(" ")));
    words = [];
  };
  for (const word of tokens(q)) {
    if (FILTER.test(word) || NEGATED.test(word)) continue;
    if (word === "+" || word === "-") {
      close();
      sign = word === "+" ? 1 : -1;
    } else words.push(word);
  }
  close();
  return parts;
}

/** Filters and what is left out, as they stand in the query. @param {string} q */
function typed(q) {
  return [...tokens(q)].filter((word) => FILTER.test(word) || NEGATED.test(word));
}

/** What photos must not show, as `-leash` and `-"red leash"` say. @param {string} q */
export function leftOut(q) {
  const found = [...tokens(q)].map((word) => word.match(NEGATED)).filter(Boolean);
  return found.map(([, quoted, word]) => (quoted ? quoted.slice(1, -1).trim() : word)).filter(Boolean);
}

/** The same by their keys, as the service takes them. @param {string} q @returns {Record<string, string>} */
export function filtersOf(q) {
  return Object.fromEntries(typed(q).filter((word) => FILTER.test(word)).map((word) => {
    const [, key, value] = word.match(FILTER);
    return [key, WHOLE.test(value) ? value.slice(1, -1).trim() : value];
  }));
}

/** Parts as the service takes them. @param {string} q */
export function weighted(q) {
  return parse(q).map(({ sign, weight, text }) => ({ text, weight: sign * weight }));
}

/** The text of a query that is one text and nothing else; null for any other. @param {string} q */
export function onlyText(q) {
  const parts = parse(q);
  return parts.length === 1 && parts[0].sign === 1 && parts[0].weight === 1 ? parts[0].text : null;
}

/**
 * The words that can be weighed: those of the text first, then what is added and subtracted.
 * @param {string} q
 * @param {boolean} beside whether a picture is looked for too, so that every word may be subtracted
 * @returns {Word[]}
 */
export function words(q, beside) {
  const parts = parse(q);
  const main = mainOf(parts);
  const own = main ? wordsOf(main) : [];
  const extra = parts.filter((one) => one !== main);
  const more = new Set(extra.filter((one) => one.sign === 1).map((one) => one.text));
  const telling = own.filter((word) => !SMALL.has(word.toLowerCase()));
  const positive = telling.length + extra.filter((one) => one.sign === 1 && !own.includes(one.text)).length;
  const listed = telling.map((word) => ({
    word,
    state: /** @type {"more" | "plain"} */ (more.has(word) ? "more" : "plain"),
    needed: positive === 1 && !beside,
  }));
  const others = extra
    .filter((one) => !own.includes(one.text))
    .map((one) => ({
      word: one.text,
      state: /** @type {"more" | "less"} */ (one.sign === 1 ? "more" : "less"),
      needed: one.sign === 1 && positive === 1 && !beside,
    }));
  return [...listed, ...others].filter((one, at, all) => all.findIndex((other) => other.word === one.word) === at);
}

/** The query with this word added once more, or no longer. @param {string} q @param {string} word */
export function toggleMore(q, word) {
  return [more(q, word), ...typed(q)].join(" ");
}

/** The query with this word subtracted, or part of the text again. @param {string} q @param {string} word */
export function toggleLess(q, word) {
  return [less(q, word), ...typed(q)].join(" ");
}

function more(q, word) {
  const parts = parse(q);
  const found = parts.find((one) => one.text === word && one !== mainOf(parts));
  if (!found) return written([...parts, part(1, quoted(word))]);
  const left = parts.filter((one) => one !== found);
  if (found.sign === 1) {
    // A word of its own that is no longer added goes back into the text.
    return written(wordsOf(mainOf(left)).includes(word) ? left : withWord(left, word));
  }
  return written([...withWord(left, word), part(1, quoted(word))]);
}

function less(q, word) {
  const parts = parse(q);
  const subtracted = parts.find((one) => one.text === word && one.sign === -1);
  if (subtracted) return written(withWord(parts.filter((one) => one !== subtracted), word));
  const main = mainOf(parts);
  const rest = parts
    .filter((one) => one === main || one.text !== word)
    .flatMap((one) => (one === main ? withoutWord(one, word) : [one]));
  return written([...rest, part(-1, quoted(word))]);
}

/** @param {string} q */
function* tokens(q) {
  let at = 0;
  let opensPart = true;
  while (at < q.length) {
    const space = /\s*/y;
    space.lastIndex = at;
    at += space.exec(q)[0].length;
    const pattern = opensPart ? FIRST_WORD : WORD;
    pattern.lastIndex = at;
    const found = pattern.exec(q);
    if (!found) return;
    yield found[0];
    opensPart = found[0] === "+" || found[0] === "-";
    at += found[0].length;
  }
}

/** @param {1 | -1} sign @param {string} raw @returns {Part} */
function part(sign, raw) {
  const prefix = raw.match(new RegExp(`^${WEIGHT}`))?.[0] ?? "";
  const body = raw.slice(prefix.length);
  const text = WHOLE.test(body) ? body.slice(1, -1).trim() : body;
  return { sign, weight: prefix ? Number(prefix.slice(0, -1).replace(",", ".")) : 1, text, raw };
}

/** The first text that is added: what the others are added to. @param {Part[]} parts */
function mainOf(parts) {
  return parts.find((one) => one.sign === 1);
}

/** @param {Part | undefined} main */
function wordsOf(main) {
  return main ? (WHOLE.test(main.raw) ? [main.text] : main.text.split(/\s+/)) : [];
}

/** @param {Part[]} parts @param {string} word */
function withWord(parts, word) {
  const main = mainOf(parts);
  if (!main) return [part(1, quoted(word)), ...parts];
  return parts.map((one) => (one === main ? part(1, `${one.raw} ${word}`) : one));
}

/** @param {Part} main @param {string} word */
function withoutWord(main, word) {
  const left = wordsOf(main).filter((one) => one !== word);
  if (!left.length) return [];
  const prefix = main.weight === 1 ? "" : `${main.weight}:`;
  return [part(1, left.length === wordsOf(main).length ? main.raw : prefix + left.join(" "))];
}

/** In quotes where it would be read as something else. @param {string} word */
function quoted(word) {
  return parse(word)[0]?.text === word ? word : `"${word}"`;
}

/** @param {Part[]} parts */
function written(parts) {
  const ordered = [...parts].sort((one, other) => other.sign - one.sign);
  return ordered
    .map((one, at) => (at === 0 && one.sign === 1 ? one.raw : `${one.sign === 1 ? "+" : "-"} ${one.raw}`))
    .join(" ");
}
