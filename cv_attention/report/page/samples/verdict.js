// The prediction for one image at the current epoch, with the most probable classes.

import { el } from "../core/dom.js";
import { className, formatPercent } from "../core/format.js";

const TOP_SHOWN = 3;

export function tellVerdict(element, run, snapshot, index) {
  const predicted = snapshot?.predictions[index];
  if (predicted === null || predicted === undefined) {
    element.replaceChildren("no prediction");
    return;
  }
  const label = run.probes[index].label;
  const right = predicted === label;
  const verdict = label === null ? "" : right ? "right" : "wrong";
  element.className = `verdict ${verdict}`;
  const mark =
    label !== null && el("span", { class: "mark", role: "img", "aria-label": verdict }, right ? "✓" : "✗");
  element.replaceChildren(
    ...[mark].filter(Boolean),
    el("span", { class: "predicted" }, className(run, predicted)),
    el("span", { class: "number" }, formatPercent(snapshot.confidence[index])),
  );
}

export function drawTop(list, run, best, label) {
  const rows = best.slice(0, TOP_SHOWN).map(([index, p]) => {
    const bar = el("span", { class: "p-bar" });
    bar.style.width = `${100 * p}%`;
    const name = el("span", { class: "p-name" }, className(run, index));
    return el(
      "li",
      { class: index === label ? "true-class" : null },
      bar,
      name,
      el("span", { class: "number" }, formatPercent(p)),
    );
  });
  list.replaceChildren(...rows);
}
