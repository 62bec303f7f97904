// A link that opens a photo: to the system's own sharing, else to the clipboard.

/**
 * @param {string} link
 * @param {string} title
 * @returns {Promise<"shared" | "copied" | "failed" | null>} null: the person thought better of it
 */
export async function share(link, title) {
  if (navigator.share && matchMedia("(hover: none)").matches) {
    try {
      await navigator.share({ url: link, title });
      return "shared";
    } catch (error) {
      return error.name === "AbortError" ? null : copy(link);
    }
  }
  return copy(link);
}

/** @param {string} text @returns {Promise<"copied" | "failed">} */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return "copied";
  } catch {
    return copyBySelecting(text); // without HTTPS there is no clipboard but on this machine
  }
}

function copyBySelecting(text) {
  const field = document.createElement("textarea");
  field.value = text;
  field.className = "unseen";
  (document.querySelector("dialog[open]") ?? document.body).append(field);
  field.select();
  const isCopied = document.execCommand("copy");
  field.remove();
  return isCopied ? "copied" : "failed";
}
