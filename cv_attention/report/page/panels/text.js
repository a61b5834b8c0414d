// A text that was read, in boxes coloured by confidence; errors are marked by the edit alignment with the truth.

import { el } from "../core/dom.js";
import { formatPercent, isolated } from "../core/format.js";

const WORDS = {
  match: "right",
  substitution: "wrong",
  insertion: "not in the true text",
  deletion: "not read",
};

// A unit as text that can be seen: spaces and control characters have no shape of their own.
export function shownUnit(unit) {
  if (unit === " ") return "␣";
  return unit.replace(/[\p{C}\p{Z}]/gu, (letter) => (letter === " " ? " " : "�"));
}

function describe(probe, [kind, read, true_]) {
  if (kind === "deletion") return `${shownUnit(probe.trueUnits[true_])}: not read`;
  const sure = formatPercent(probe.confidences[read], 1);
  const instead = kind === "substitution" ? ` instead of ${shownUnit(probe.trueUnits[true_])}` : "";
  return `${shownUnit(probe.units[read])}${instead}: ${WORDS[kind]}, confidence ${sure}`;
}

function box(probe, pair, onlook) {
  const [kind, read, true_] = pair;
  const about = describe(probe, pair);
  const attributes = { class: `unit ${kind}`, title: about, "aria-label": about, role: "listitem" };
  if (read === null) return el("span", attributes, el("span", { class: "unit-read" }, " "), el("small", {}, shownUnit(probe.trueUnits[true_])));
  const look = () => onlook(read);
  const shown = el("span", { ...attributes, "data-step": read, onpointerenter: look });
  shown.style.setProperty("--sure", `${Math.round(45 * probe.confidences[read])}%`);
  shown.append(
    el("span", { class: "unit-read" }, shownUnit(probe.units[read])),
    el("small", {}, kind === "substitution" ? shownUnit(probe.trueUnits[true_]) : kind === "insertion" ? "–" : " "),
  );
  return shown;
}

// `onlook(step)` is called for the unit under the pointer.
export function textFigure(probe, onlook) {
  const errors = probe.alignment.filter(([kind]) => kind !== "match").length;
  const truth = probe.truth === "" ? "an empty text" : probe.truth;
  const verdict = errors ? `${errors} ${errors === 1 ? "error" : "errors"}; the truth is ${isolated(truth)}` : "read without an error";
  const boxes = probe.alignment.map((pair) => box(probe, pair, onlook));
  return el(
    "div",
    { class: "read-text" },
    el("div", { class: "units", dir: "auto", role: "list", "aria-label": `Read: ${probe.text === "" ? "an empty text" : probe.text}` }, boxes.length ? boxes : el("span", { role: "listitem", class: "muted" }, "an empty text")),
    el("p", { class: errors ? "read-verdict wrong" : "read-verdict right" }, verdict),
    el("p", { class: "muted hint" }, `Confidence of the whole text: ${formatPercent(probe.confidence, 1)}. The colour of a box shows that of its character; below it stands what is true where that differs.`),
  );
}
