// The confusion matrix as a picture: shares of each true class as colours, counts as numbers, or the errors alone.

import { className } from "../core/class_names.js";
import { el } from "../core/dom.js";
import { formatPercent, isolated } from "../core/format.js";
import { state } from "../core/state.js";
import { colourTable } from "../drawing/colours.js";
import { paintHeatmap } from "../drawing/heatmap.js";
import { makeColourBar } from "../drawing/legend.js";
import { hideReadout, showReadout } from "../drawing/readout.js";

const MOST_NAMED = 20; // classes whose names and counts fit
const LIGHT = 0.45; // relative luminance above which dark numbers are easier to read

// {map, range}: the fraction of each true class that was predicted as each class. Where errors alone are shown, right
// predictions have no colour, and the colours end at the most frequent error.
export function confusionShares({ classes, counts }, sums, errorsOnly) {
  const values = new Float32Array(classes * classes);
  for (const [truth, guess, count] of counts) values[truth * classes + guess] = count / sums[truth];
  if (errorsOnly) for (let i = 0; i < classes; i++) values[i * classes + i] = NaN;
  const most = values.reduce((a, b) => (b > a ? b : a), 0);
  return { map: { values, height: classes, width: classes }, range: [0, errorsOnly ? most || 1 : 1] };
}

function luminance(table, share) {
  const at = 3 * Math.round(255 * Math.min(1, Math.max(0, share)));
  const [r, g, b] = [0, 1, 2].map((c) => (table[at + c] / 255) ** 2.2);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

// The counts over their cells; zeros stay empty.
function countsOver({ classes, counts }, { map, range }, table) {
  const element = el("div", { class: "confusion-counts", "aria-hidden": "true" });
  element.style.gridTemplate = `repeat(${classes}, 1fr) / repeat(${classes}, 1fr)`;
  for (const [truth, guess, count] of counts) {
    if (!count) continue;
    const share = map.values[truth * classes + guess];
    const tone = Number.isNaN(share) ? "bare" : luminance(table, share / range[1]) > LIGHT ? "on-light" : "on-dark";
    const cell = el("span", { class: tone }, count);
    cell.style.gridArea = `${truth + 1} / ${guess + 1}`;
    element.append(cell);
  }
  return element;
}

function namesOf(run, classes, side) {
  const items = Array.from({ length: classes }, (_, i) =>
    el("li", {}, el("span", { dir: "auto", title: className(run, i) }, className(run, i))),
  );
  return el("ol", { class: `names-${side}`, "aria-hidden": "true" }, items);
}

// onpick(true class, predicted class) is called for a click on a cell.
export function confusionFigure(run, content, sums, onpick) {
  const { classes, counts } = content;
  const shares = confusionShares(content, sums, state.pairs === "errors");
  const table = colourTable(state.colours);
  const canvas = el("canvas", { class: "confusion-map", role: "img", "aria-label": "Confusion matrix" });
  paintHeatmap(canvas, shares.map, shares.range, table, { smooth: false, threshold: 0, contour: false, signed: false });
  const at = (event) => {
    const edge = canvas.getBoundingClientRect();
    const cell = (share) => Math.min(classes - 1, Math.max(0, Math.floor(share * classes)));
    return [cell((event.clientY - edge.top) / edge.height), cell((event.clientX - edge.left) / edge.width)];
  };
  canvas.addEventListener("pointermove", (event) => {
    const [truth, guess] = at(event);
    const count = counts.find((entry) => entry[0] === truth && entry[1] === guess)?.[2] ?? 0;
    const share = formatPercent(sums[truth] ? count / sums[truth] : null, 1);
    const names = `${isolated(className(run, truth))} predicted as ${isolated(className(run, guess))}`;
    showReadout(event, `${names}: ${count} (${share})`);
  });
  canvas.addEventListener("pointerleave", hideReadout);
  canvas.addEventListener("click", (event) => onpick(...at(event)));
  const few = classes <= MOST_NAMED;
  const bar = makeColourBar();
  bar.tell({ range: shares.range.map((share) => 100 * share), table: state.colours, signed: false });
  return el(
    "figure",
    { class: "confusion" },
    el("span", { class: "axis-y muted" }, "true class"),
    few && namesOf(run, classes, "y"),
    el("div", { class: "confusion-frame" }, canvas, few && countsOver(content, shares, table)),
    few && namesOf(run, classes, "x"),
    el("span", { class: "axis-x muted" }, "predicted class"),
    el("div", { class: "confusion-scale" }, bar.element, el("span", { class: "muted" }, "% of the true class")),
  );
}
