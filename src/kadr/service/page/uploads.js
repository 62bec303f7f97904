// Adding photos to the library.

import * as api from "./api.js";
import { patiently, messageOf } from "./errors.js";
import { percent, say } from "./texts.js";

/** What the service takes at once. */
const AT_ONCE = 20;

/**
 * @param {File[]} files
 * @param {(line: string | null) => void} tell
 * @returns {Promise<number>} how many were added
 */
export async function addPhotos(files, tell) {
  let added = 0;
  let withheld = 0;
  const skipped = [];
  for (let start = 0; start < files.length; start += AT_ONCE) {
    const batch = files.slice(start, start + AT_ONCE);
    const onProgress = (share) => {
      const done = Math.min(start + batch.length, files.length);
      tell(share < 1 ? say("adding", { done, all: files.length, percent: percent(share) }) : say("reading"));
    };
    try {
      const answer = await patiently(() => api.upload(batch, onProgress), tell);
      added += answer.added.length;
      withheld += answer.withheld;
      skipped.push(...answer.skipped.map(({ file, reason }) => `${batch[file].name} (${reason})`));
    } catch (error) {
      tell(messageOf(error));
      return added;
    }
  }
  const lines = [say("added", { n: added })];
  if (withheld) lines.push(say("withheldFiles", { n: withheld }));
  if (skipped.length) lines.push(say("skippedFiles", { files: skipped.join(", ") }));
  tell(lines.join("; "));
  return added;
}
