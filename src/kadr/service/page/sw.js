// Opens the page where the service can't be reached, so that it can say so. It keeps the page's own
// files and nothing else: a photo or an answer that was kept might be hidden by law since.

const KEPT = "kadr-page";
const FILES = [
  "api", "app", "ask", "bin", "cell", "cells", "collect", "collecting", "collections", "collectiontexts", "dates",
  "deletion", "dictionary", "errors", "facts", "feed", "film", "filters", "folders", "grid", "gridkeys", "heat", "hover",
  "keys", "land", "largepicture", "law", "layout", "line", "map", "membership", "mercator", "pictures", "query", "reasons", "review",
  "reviewgrid", "scrubber", "searchfield", "selection", "session", "settings", "share", "star", "state", "texts",
  "theme", "timeline", "uploadlist", "uploads", "viewer", "why", "words", "zoom",
].map((name) => `web/${name}.js`).concat("./", "web/style.css", "web/icon.svg");

self.addEventListener("install", (event) => {
  self.skipWaiting();
  event.waitUntil(caches.open(KEPT).then((cache) => cache.addAll(FILES)));
});

self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

self.addEventListener("fetch", (event) => {
  const key = keyOf(event.request);
  if (key) event.respondWith(fresh(event.request, key));
});

/** Under which address a file of the page is kept; null: it isn't one. @param {Request} request */
function keyOf(request) {
  const here = self.registration.scope;
  const { origin, pathname } = new URL(request.url);
  const address = origin + pathname;
  if (request.method !== "GET") return null;
  if (address === here) return here;
  return address.startsWith(`${here}web/`) ? address : null;
}

/** The service's own, which is kept anew; the kept one only where there is no service. */
async function fresh(request, key) {
  const cache = await caches.open(KEPT);
  try {
    const answer = await fetch(request);
    if (answer.ok && !answer.redirected) await cache.put(key, answer.clone());
    return answer;
  } catch (error) {
    const kept = await cache.match(key);
    if (kept) return kept;
    throw error;
  }
}
