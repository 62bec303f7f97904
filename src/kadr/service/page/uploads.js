// Adding photos to the library.

import * as api from "./api.js";
import { messageOf, patiently } from "./errors.js";
import { say } from "./texts.js";

/** What the service takes at once: so many files, and by default somewhat more bytes. */
const AT_ONCE = 20;
const BYTES = 20_000_000;

/** @typedef {{added: number, withheld: number, skipped: string[]}} Sum skipped: names with their reasons */

/**
 * @param {File[]} files
 * @param {import("./uploadlist.js").UploadList} list
 * @param {(line: string | null) => void} tell
 * @returns {Promise<number>} how many were added
 */
export async function addPhotos(files, list, tell) {
  /** @type {Sum} */
  const sum = { added: 0, withheld: 0, skipped: [] };
  const waiting = [...batches(files)];
  list.start(files);
  while (waiting.length) {
    const batch = waiting.shift();
    try {
      const answer = await patiently(() => api.upload(batch, (share) => list.progress(batch, share * bytesOf(batch))), tell);
      answered(batch, answer, list, sum);
    } catch (error) {
      if (error instanceof api.ApiError && error.status === 413 && batch.length > 1) {
        const half = batch.length >> 1;
        waiting.unshift(batch.slice(0, half), batch.slice(half));
        continue;
      }
      const reasons = reasonsOf(error, batch);
      if (!reasons) {
        const message = messageOf(error);
        for (const file of [batch, ...waiting].flat()) list.tell(file, message ?? say("notSent"), false);
        tell(message);
        return sum.added;
      }
      skip(reasons, list, sum);
    }
  }
  list.finish();
  tell(told(sum));
  return sum.added;
}

/** @param {File[]} batch */
const bytesOf = (batch) => batch.reduce((sum, { size }) => sum + size, 0);

/** What became of the files of a request. @param {File[]} batch @param {any} answer @param {import("./uploadlist.js").UploadList} list @param {Sum} sum */
function answered(batch, { added, withheld, skipped }, list, sum) {
  sum.added += added.length;
  sum.withheld += withheld;
  skip(skipped.map(({ file, reason }) => [batch[file], reason]), list, sum);
  const left = batch.filter((_, place) => !skipped.some(({ file }) => file === place));
  const names = new Set(added.map(({ name }) => name));
  // The answer tells hidden ones by their number alone: which they are is known where the others kept their names.
  const isClear = left.filter(({ name }) => names.has(name)).length === added.length;
  left.forEach((file, place) => {
    if (names.has(file.name)) list.tell(file, say("addedOne"), true);
    else if (withheld) list.tell(file, say(isClear ? "withheldOne" : "addedOrHidden"), false);
    else if (added.length === left.length) list.tell(file, say("addedAs", { name: added[place].name ?? file.name }), true);
    else list.tell(file, say("addedOne"), true);
  });
}

/** @param {[File, string][]} reasons @param {import("./uploadlist.js").UploadList} list @param {Sum} sum */
function skip(reasons, list, sum) {
  for (const [file, reason] of reasons) {
    list.tell(file, reason, false);
    sum.skipped.push(`${file.name} (${reason})`);
  }
}

/** @param {Sum} sum */
function told({ added, withheld, skipped }) {
  const lines = [say("added", { n: added })];
  if (withheld) lines.push(say("withheldFiles", { n: withheld }));
  if (skipped.length) lines.push(say("skippedFiles", { files: skipped.join(", ") }));
  return lines.join("; ");
}

/** Files as they are sent together. @param {File[]} files */
function* batches(files) {
  let batch = [];
  let bytes = 0;
  for (const file of files) {
    if (batch.length && (batch.length === AT_ONCE || bytes + file.size > BYTES)) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(file);
    bytes += file.size;
  }
  yield batch;
}

/** Why these files weren't added, one by one; null where the error is of another kind. @param {unknown} error @param {File[]} batch @returns {[File, string][] | null} */
function reasonsOf(error, batch) {
  if (!(error instanceof api.ApiError)) return null;
  if (error.status === 413) return batch.map((file) => [file, say("tooLarge")]);
  if (error.status !== 422 || !error.errors.length) return null;
  return error.errors.map(({ where, what }) => [batch[Number(where.split(".")[1])] ?? batch[0], what]);
}
