// Images with several classes: what was decided of each class, and which classes occur together.

import { className } from "../core/class_names.js";
import { select } from "../core/controls.js";
import { el } from "../core/dom.js";
import { aChoice } from "../core/fields.js";
import { epochName, formatPercent, isolated } from "../core/format.js";
import { plainCache } from "../core/shards.js";
import { addField, currentRun, state, watch } from "../core/state.js";
import { colourTable } from "../drawing/colours.js";
import { paintHeatmap } from "../drawing/heatmap.js";
import { makeColourBar } from "../drawing/legend.js";
import { hideReadout, showReadout } from "../drawing/readout.js";

addField("labelsOf", aChoice("test", ["test", "validation"]));

const MOST_PAIRS = 8;
const MOST_NAMED = 20; // classes whose names fit next to the matrix

function hasLabels({ panels }) {
  return Boolean(panels?.testedLabels || Object.keys(panels?.labels ?? {}).length);
}

// The counts of the test, or of the epoch next to the chosen one: {images, thresholds, true, ..., of, words}, or null.
async function loadLabels(run) {
  const { testedLabels, labels } = run.panels;
  const epochs = Object.keys(labels).map(Number);
  if ((state.labelsOf === "test" && testedLabels) || !epochs.length) {
    if (!testedLabels) return null;
    const found = await plainCache.get(`${run.folder}/labels-test`, testedLabels, 1e5);
    return { ...found, of: "test", words: "Test split, best checkpoint" };
  }
  const epoch = epochs.reduce((a, b) => (Math.abs(b - state.epoch) < Math.abs(a - state.epoch) ? b : a));
  const found = await plainCache.get(`${run.folder}/e${epoch}-labels`, labels[epoch], 1e5);
  return { ...found, of: "validation", words: `Validation split, ${epochName(epoch)}` };
}

function share(part, whole) {
  return whole ? part / whole : null;
}

function classRow(run, counts, index) {
  const [images, decided, right] = [counts.true[index], counts.decided[index], counts.right[index]];
  const recall = share(right, images);
  const bar = el("i");
  bar.style.width = `${100 * (recall ?? 0)}%`;
  return el(
    "tr",
    { "data-class": index },
    el("th", { scope: "row" }, el("bdi", {}, className(run, index))),
    el("td", { class: "number" }, images),
    el("td", { class: "number with-bar" }, bar, el("span", {}, formatPercent(recall, 1))),
    el("td", { class: "number" }, formatPercent(share(right, decided), 1)),
    el("td", { class: "number" }, formatPercent(share(2 * right, images + decided), 1)),
    el("td", { class: "number" }, formatPercent(counts.thresholds[index], 1)),
  );
}

function classTable(run, counts) {
  const f1 = (i) => share(2 * counts.right[i], counts.true[i] + counts.decided[i]) ?? 2;
  const order = [...counts.true.keys()].sort((a, b) => f1(a) - f1(b));
  const titles = ["Class", "Images", "Recall", "Precision", "F1", "Threshold"].map((text, i) =>
    el("th", { scope: "col", class: i ? "number" : null }, text),
  );
  const body = el("tbody", {}, order.map((index) => classRow(run, counts, index)));
  const table = el("table", { class: "per-class" }, el("thead", {}, el("tr", {}, titles)), body);
  return el("div", { class: "table-frame", tabindex: "0" }, table);
}

// Images with the class of a row that have the class of a column, too, as a fraction of the row's.
function together(counts) {
  const classes = counts.true.length;
  const values = new Float32Array(classes * classes);
  const images = new Uint32Array(classes * classes);
  for (const [first, second, count] of counts.together) {
    for (const [row, column] of [
      [first, second],
      [second, first],
    ]) {
      images[row * classes + column] = count;
      values[row * classes + column] = share(count, counts.true[row]) ?? 0;
    }
  }
  for (let i = 0; i < classes; i++) {
    images[i * classes + i] = counts.true[i];
    values[i * classes + i] = counts.true[i] ? 1 : 0;
  }
  return { values, images, classes };
}

function matrix(run, counts) {
  const { values, images, classes } = together(counts);
  const canvas = el("canvas", { class: "confusion-map", role: "img", "aria-label": "Classes that occur together" });
  canvas.width = canvas.height = classes;
  const plain = { smooth: false, threshold: 0, contour: false, signed: false };
  paintHeatmap(canvas, { values, height: classes, width: classes }, [0, 1], colourTable(state.colours), plain);
  canvas.addEventListener("pointermove", (event) => {
    const edge = canvas.getBoundingClientRect();
    const cell = (part) => Math.min(classes - 1, Math.max(0, Math.floor(part * classes)));
    const row = cell((event.clientY - edge.top) / edge.height);
    const column = cell((event.clientX - edge.left) / edge.width);
    const place = row * classes + column;
    const [first, second] = [row, column].map((index) => isolated(className(run, index)));
    const words =
      row === column
        ? `${images[place]} images with ${first}`
        : `${images[place]} images with ${first} and ${second}: ${formatPercent(values[place], 1)} of those with ${first}`;
    showReadout(event, words);
  });
  canvas.addEventListener("pointerleave", hideReadout);
  const names = (side) =>
    classes <= MOST_NAMED &&
    el(
      "ol",
      { class: `names-${side}`, "aria-hidden": "true" },
      Array.from({ length: classes }, (_, i) => el("li", {}, el("span", { dir: "auto", title: className(run, i) }, className(run, i)))),
    );
  const bar = makeColourBar();
  bar.tell({ range: [0, 100], table: state.colours, signed: false });
  return el(
    "figure",
    { class: "confusion" },
    el("span", { class: "axis-y muted" }, "images with"),
    names("y"),
    canvas,
    names("x"),
    el("span", { class: "axis-x muted" }, "that also have"),
    el("div", { class: "confusion-scale" }, bar.element, el("span", { class: "muted" }, "% of the row's images")),
  );
}

function pairs(run, title, entries, counts, between, none) {
  const most = [...entries].sort((a, b) => b[2] - a[2]).slice(0, MOST_PAIRS);
  if (!most.length) return el("p", { class: "muted" }, none);
  const rows = most.map(([first, second, count]) =>
    el(
      "li",
      {},
      el("span", {}, el("bdi", {}, className(run, first)), ` ${between} `, el("bdi", {}, className(run, second))),
      el("span", { class: "number muted" }, `${count} of ${counts.true[first]}`),
    ),
  );
  return el("div", { class: "pairs" }, el("h3", {}, title), el("ol", {}, rows));
}

function options({ panels }) {
  const some = Object.keys(panels?.labels ?? {}).length;
  return { ...(panels?.testedLabels && { test: "test split" }), ...(some && { validation: "validation, this epoch" }) };
}

export function makeLabels() {
  const body = el("div", { class: "confusion-body" });
  const words = el("p", { class: "muted counted" });
  const choice = select("labelsOf", "Counted on", options);
  const tools = el("div", { class: "panel-tools" }, choice);
  const head = el("div", { class: "section-line" }, el("h2", { id: "labels" }, "Classes of each image"), tools);
  const section = el("section", { "aria-labelledby": "labels" }, head, words, body);
  let wanted = 0;
  async function draw() {
    const turn = ++wanted;
    const run = currentRun();
    section.hidden = !hasLabels(run);
    const counts = section.hidden ? null : await loadLabels(run).catch(() => null);
    if (turn !== wanted || !counts) return;
    choice.querySelector("select").value = counts.of;
    const sum = (values) => values.reduce((a, b) => a + b, 0);
    const right = sum(counts.right);
    words.textContent =
      `${counts.words}: ${counts.images} images with ${sum(counts.true)} classes, ${sum(counts.decided)} decided, ` +
      `${right} of them right; thresholds chosen on the validation split`;
    const parts = [classTable(run, counts)];
    if (counts.together.length || counts.mistaken.length) {
      const none = "No class was wrongly added to images of another.";
      parts.unshift(
        matrix(run, counts),
        pairs(run, "Wrongly added", counts.mistaken, counts, "→ also", none),
      );
    }
    body.replaceChildren(...parts);
  }
  watch((values) => {
    if (["run", "epoch", "labelsOf", "colours"].some((name) => name in values)) draw();
  });
  draw();
  return section;
}
