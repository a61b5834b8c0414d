// The prediction for one image at the current epoch, with the most probable classes.

import { className } from "../core/class_names.js";
import { el } from "../core/dom.js";
import { formatPercent } from "../core/format.js";
import { shortRunName } from "../core/run_names.js";

const TOP_SHOWN = 3;

// Of an image that may have several classes: those that were found, missed and wrongly added.
function tellSeveral(element, run, labels, decided) {
  const chip = (index, mark, words) =>
    el(
      "span",
      { class: `label-chip ${words}` },
      mark && el("span", { class: "mark", role: "img", "aria-label": words }, mark),
      el("bdi", {}, className(run, index)),
    );
  if (!labels) {
    element.className = "verdict several";
    const said = decided.map((index) => chip(index, "", ""));
    element.replaceChildren(...(said.length ? said : ["no class found"]));
    return;
  }
  const found = labels.filter((index) => decided.includes(index));
  const missed = labels.filter((index) => !decided.includes(index));
  const added = decided.filter((index) => !labels.includes(index));
  element.className = `verdict several ${missed.length || added.length ? "wrong" : "right"}`;
  const chips = [
    ...found.map((index) => chip(index, "✓", "found")),
    ...missed.map((index) => chip(index, "−", "missed")),
    ...added.map((index) => chip(index, "✗", "added")),
  ];
  element.replaceChildren(...(chips.length ? chips : ["no class, none found"]));
}

export function tellVerdict(element, run, snapshot, index) {
  const predicted = snapshot?.predictions[index];
  const several = snapshot?.decided?.[index];
  if (several) {
    tellSeveral(element, run, run.probes[index].labels, several);
    return;
  }
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
    el("bdi", { class: "predicted", title: className(run, predicted) }, className(run, predicted)),
    el("span", { class: "number" }, formatPercent(snapshot.confidence[index])),
  );
}

const RUNS_SHOWN = 4;

// What the other runs predict for the same image: a line each, and how many more there are.
export function tellTwins(list, twins) {
  const rows = twins.slice(0, RUNS_SHOWN).map(({ run, snapshot, index }) => {
    const verdict = el("p", {});
    tellVerdict(verdict, run, snapshot, index);
    return el("li", { title: run.name }, el("bdi", { class: "twin-name" }, shortRunName(run)), verdict);
  });
  const rest = twins.length - RUNS_SHOWN;
  if (rest > 0) rows.push(el("li", { class: "muted" }, `and ${rest} more run${rest === 1 ? "" : "s"}`));
  list.replaceChildren(...rows);
}

export function twinLines(runs) {
  return Math.min(runs - 1, RUNS_SHOWN + 1);
}

export function drawTop(list, run, best, { label, labels }) {
  const rows = best.slice(0, TOP_SHOWN).map(([index, p]) => {
    const bar = el("span", { class: "p-bar" });
    bar.style.width = `${100 * p}%`;
    const name = el("bdi", { class: "p-name", title: className(run, index) }, className(run, index));
    return el(
      "li",
      { class: (labels ? labels.includes(index) : index === label) ? "true-class" : null },
      bar,
      name,
      el("span", { class: "number" }, formatPercent(p)),
    );
  });
  list.replaceChildren(...rows);
}
