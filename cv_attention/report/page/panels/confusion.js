// The confusion matrix and the accuracy of each class. A click lists the samples of a cell.

import { className } from "../core/class_names.js";
import { pushButton, select } from "../core/controls.js";
import { el } from "../core/dom.js";
import { nearestSnapshot } from "../core/epochs.js";
import { aChoice } from "../core/fields.js";
import { epochName, formatPercent, isolated } from "../core/format.js";
import { goTo } from "../core/scrolling.js";
import { plainCache } from "../core/shards.js";
import { addField, change, currentRun, state, watch } from "../core/state.js";
import { confusionFigure } from "./confusion_matrix.js";

addField("pairs", aChoice("all", ["all", "errors"]));
addField("counted", aChoice("test", ["test", "validation"]));

const MOST_PAIRS = 8;

// The counts at the chosen epoch: {classes, counts, words}, or null.
async function loadConfusion(run) {
  const { tested, confusion } = run.panels;
  const epochs = Object.keys(confusion).map(Number);
  if ((state.counted === "test" && tested) || !epochs.length) {
    if (!tested) return null;
    const found = await plainCache.get(`${run.folder}/confusion-test`, tested, 1e5);
    return { ...found, counted: "test", words: found.what ?? "test split, best checkpoint" };
  }
  const epoch = epochs.reduce((a, b) => (Math.abs(b - state.epoch) < Math.abs(a - state.epoch) ? b : a));
  const found = await plainCache.get(`${run.folder}/e${epoch}-confusion`, confusion[epoch], 1e5);
  return { ...found, counted: "validation", words: `${found.what ?? "validation split"}, ${epochName(epoch)}` };
}

// {sums: images of each true class, guessed: of each predicted class, right: correctly predicted}.
function countClasses({ classes, counts }) {
  const [sums, guessed, right] = [0, 0, 0].map(() => new Float64Array(classes));
  for (const [truth, guess, count] of counts) {
    sums[truth] += count;
    guessed[guess] += count;
    if (truth === guess) right[truth] += count;
  }
  return { sums, guessed, right };
}

function listPair(label, predicted) {
  change({ label, predicted });
  goTo("maps");
}

// A class, or a pair of classes, as a link to its images; as text if none of them was recorded.
function linkToImages(run, text, label, predicted = null) {
  const shown = [text].flat();
  const snapshot = nearestSnapshot(run, state.epoch);
  const fits = (probe, i) =>
    probe.label === label && (predicted === null || snapshot.predictions[i] === predicted);
  if (snapshot && run.probes.some(fits))
    return pushButton(shown, () => listPair(label, predicted), { class: "link two-lines", title: told(shown) });
  return el("span", { class: "two-lines", title: `${told(shown)}: none of these images was recorded in this epoch` }, shown);
}
const told = (parts) => parts.map((part) => (part.textContent ? isolated(part.textContent) : part)).join("");

function named(run, index) {
  return el("bdi", {}, className(run, index));
}

function confusedPairs(run, { counts }, sums) {
  const wrong = counts.filter(([truth, guess]) => truth !== guess);
  const worst = wrong.sort((a, b) => b[2] - a[2]).slice(0, MOST_PAIRS);
  if (!worst.length) return el("p", { class: "muted" }, "No class was confused with another.");
  const rows = worst.map(([truth, guess, count]) =>
    el(
      "li",
      {},
      linkToImages(run, [named(run, truth), " → ", named(run, guess)], truth, guess),
      el("span", { class: "number muted" }, `${count} of ${sums[truth]}`),
    ),
  );
  return el("div", { class: "pairs" }, el("h3", {}, "Most confused"), el("ol", {}, rows));
}

function classRow(run, index, { sums, guessed, right }) {
  const share = sums[index] ? right[index] / sums[index] : null;
  const precision = guessed[index] ? right[index] / guessed[index] : null;
  const bar = el("i");
  bar.style.width = `${100 * (share ?? 0)}%`;
  const name = linkToImages(run, named(run, index), index);
  return el(
    "tr",
    { "data-class": index },
    el("th", { scope: "row" }, name),
    el("td", { class: "number" }, sums[index]),
    el("td", { class: "number with-bar" }, bar, el("span", {}, formatPercent(share, 1))),
    el("td", { class: "number" }, formatPercent(precision, 1)),
  );
}

function classTable(run, content, counted) {
  const order = [...counted.sums.keys()].filter((i) => counted.sums[i] || counted.guessed[i]);
  const share = (i) => (counted.sums[i] ? counted.right[i] / counted.sums[i] : 2);
  order.sort((a, b) => share(a) - share(b));
  const titles = ["Class", "Images", "Accuracy", "Precision"].map((text, i) =>
    el("th", { scope: "col", class: i ? "number" : null }, text),
  );
  const body = el("tbody", {}, order.map((index) => classRow(run, index, counted)));
  const table = el("table", { class: "per-class" }, el("thead", {}, el("tr", {}, titles)), body);
  return el("div", { class: "table-frame", tabindex: "0" }, table);
}

function countedOptions({ panels }) {
  const some = Object.keys(panels?.confusion ?? {}).length;
  return { ...(panels?.tested && { test: "test split" }), ...(some && { validation: "validation, this epoch" }) };
}

export function makeConfusion() {
  const body = el("div", { class: "confusion-body" });
  const words = el("p", { class: "muted counted" });
  const choice = select("counted", "Counted on", countedOptions);
  const shown = select("pairs", "Matrix", { all: "all predictions", errors: "errors only" });
  const choices = el("div", { class: "panel-tools" }, shown, choice);
  const head = el("div", { class: "section-line" }, el("h2", { id: "classes" }, "Classes"), choices);
  const section = el("section", { "aria-labelledby": "classes" }, head, words, body);
  let wanted = 0;
  async function draw() {
    const turn = ++wanted;
    const run = currentRun();
    section.hidden = !run.panels || !(run.panels.tested || Object.keys(run.panels.confusion).length);
    const content = section.hidden ? null : await loadConfusion(run).catch(() => null);
    if (turn !== wanted || !content) return;
    choice.querySelector("select").value = content.counted;
    const counted = countClasses(content);
    const total = counted.sums.reduce((a, b) => a + b, 0);
    const right = counted.right.reduce((a, b) => a + b, 0);
    words.textContent = `${content.words}: ${right} of ${total} right (${formatPercent(total ? right / total : null, 2)})`;
    body.replaceChildren(
      confusionFigure(run, content, counted.sums, listPair),
      confusedPairs(run, content, counted.sums),
      classTable(run, content, counted),
    );
  }
  watch((values) => {
    if (["run", "counted", "pairs", "colours", "epoch"].some((name) => name in values)) draw();
  });
  draw();
  return section;
}
