// Adding photos to the library.

import * as api from "./api.js";
import { messageOf, patiently } from "./errors.js";
import { percent, say } from "./texts.js";

/** What the service takes at once: so many files, and by default somewhat more bytes. */
const AT_ONCE = 20;
const BYTES = 20_000_000;

/**
 * @param {File[]} files
 * @param {(line: string | null) => void} tell
 * @returns {Promise<number>} how many were added
 */
export async function addPhotos(files, tell) {
  let added = 0;
  let withheld = 0;
  let done = 0;
  const skipped = [];
  const waiting = [...batches(files)];
  while (waiting.length) {
    const batch = waiting.shift();
    const onProgress = (share) => {
      tell(share < 1 ? say("adding", { done: done + batch.length, all: files.length, percent: percent(share) }) : say("reading"));
    };
    try {
      const answer = await patiently(() => api.upload(batch, onProgress), tell);
      added += answer.added.length;
      withheld += answer.withheld;
      skipped.push(...answer.skipped.map(({ file, reason }) => `${batch[file].name} (${reason})`));
    } catch (error) {
      if (error instanceof api.ApiError && error.status === 413 && batch.length > 1) {
        const half = batch.length >> 1;
        waiting.unshift(batch.slice(0, half), batch.slice(half));
        continue;
      }
      const reasons = reasonsOf(error, batch);
      if (!reasons) {
        tell(messageOf(error));
        return added;
      }
      skipped.push(...reasons);
    }
    done += batch.length;
  }
  const lines = [say("added", { n: added })];
  if (withheld) lines.push(say("withheldFiles", { n: withheld }));
  if (skipped.length) lines.push(say("skippedFiles", { files: skipped.join(", ") }));
  tell(lines.join("; "));
  return added;
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

/** Why these files weren't added, one by one; null where the error is of another kind. @param {unknown} error @param {File[]} batch */
function reasonsOf(error, batch) {
  if (!(error instanceof api.ApiError)) return null;
  if (error.status === 413) return batch.map(({ name }) => `${name} (${say("tooLarge")})`);
  if (error.status !== 422 || !error.errors.length) return null;
  return error.errors.map(({ where, what }) => `${batch[Number(where.split(".")[1])]?.name ?? ""} (${what})`);
}
