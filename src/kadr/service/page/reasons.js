// Why the machine doubts about a photo, and what people said.

import * as api from "./api.js";
import { element } from "./cell.js";
import { number, percent, say } from "./texts.js";

const LAYERS = { words: "layerWords", scene: "layerScene", faces: "layerFaces" };

/** Why the machine doubts, and what people said. @param {import("./review.js").Doubt} doubt */
export function* reasons({ assessment, ruling, request, proposal }) {
  if (request) {
    yield* reason(say(request.kind, { who: request.who }), request.why);
  }
  if (ruling) {
    yield* reason(say(ruling.verdict === "allow" ? "inForceAllow" : "inForceHide", { who: ruling.who }), ruling.why);
  }
  if (proposal) yield* likeness(proposal);
  if (!assessment) {
    yield* reason(say("notAssessed"));
    return;
  }
  yield* reason(say("aChild"), percent(assessment.probability), assessment.probability);
  if (assessment.scene !== null) yield* reason(say("scene"), percent(assessment.scene), assessment.scene);
  if (assessment.faces) {
    const ages = assessment.faces.map((age) => number(age)).join(", ");
    yield* reason(say("faces"), ages || say("noFace"));
  }
  if (assessment.words.length) yield* reason(say("wordsFound"), assessment.words.join(", "));
  if (assessment.failed.length) {
    yield* reason(say("failed"), assessment.failed.map((layer) => (LAYERS[layer] ? say(LAYERS[layer]) : layer)).join(", "));
  }
}

/** What was decided about a near duplicate, and its picture. */
function likeness({ photo, name, ruling }) {
  const title = say(ruling.verdict === "allow" ? "nearAllowed" : "nearHidden", { who: ruling.who });
  const [term, value] = reason(title, name);
  const image = document.createElement("img");
  image.alt = "";
  image.src = api.reviewPicture(photo, 160);
  value.prepend(image);
  return [term, value];
}

function reason(title, text = "", share = null) {
  const value = element("dd", "", text);
  if (share !== null) {
    const bar = element("span", "bar");
    const filled = document.createElement("i");
    filled.style.width = `${share * 100}%`;
    bar.append(filled);
    value.prepend(bar);
  }
  return [element("dt", "", title), value];
}
