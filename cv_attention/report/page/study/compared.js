// Validation images whose maps the runs recorded: the maps of two arms with the same seed, side by side.

import { pushButton, rangeControl, select, toggleControl } from "../core/controls.js";
import { el } from "../core/dom.js";
import { nearestSnapshot } from "../core/epochs.js";
import { aChoice, aText } from "../core/fields.js";
import { columnName, formatPercent } from "../core/format.js";
import { report } from "../core/report.js";
import { addField, state, watch } from "../core/state.js";
import { followDisplay, makeFrame, tallest } from "../drawing/frames.js";
import { enqueue } from "../drawing/painting.js";
import { linkPointer } from "../drawing/readout.js";
import { makeCell } from "../samples/cells.js";
import { isRight } from "../samples/flags.js";
import { fileName, sampleTitle } from "../samples/names.js";
import { sampleIn } from "../samples/twins.js";
import { tellVerdict } from "../samples/verdict.js";
import { chosenPair, pairControls, sharedSeeds } from "./pairs.js";

addField("maps", aChoice("a", ["a", "b", "neither", "both", "all"]));
addField("seed", aText(""));
addField("mapA", aText(""));
addField("mapB", aText(""));
const FIRST = 12;

const FITS = {
  a: (here, there) => here === true && there === false,
  b: (here, there) => here === false && there === true,
  neither: (here, there) => here === false && there === false,
  both: (here, there) => here === true && there === true,
  all: () => true,
};

function lastOf(run) {
  return run.epochs[run.epochs.length - 1];
}

// The images that both runs of a seed recorded: [{seed, a, b, index, place}].
function sharedImages(shared, show, seed = "") {
  return shared
    .filter((one) => (!seed || String(one.seed) === seed) && one.a.epochs.length && one.b.epochs.length)
    .flatMap(({ a, b, seed: own }) =>
      a.probes.flatMap((_, index) => {
        const place = a === b ? index : sampleIn(a, b, index);
        if (place === null || place === undefined) return [];
        const [here, there] = [isRight(a, lastOf(a), index), isRight(b, lastOf(b), place)];
        return FITS[show](here, there) ? [{ seed: own, a, b, index, place }] : [];
      }),
    );
}

// Titles of an arm's columns, and the one that is shown: the chosen one, or else a saliency map, which both have.
function columnOf(run, title) {
  const usual = run.columns.find((column) => column.source === "saliency") ?? run.columns[run.columns.length - 1];
  return run.columns.find((column) => column.title === title) ?? usual;
}

function titlesOf(study, side) {
  const run = sharedSeeds(chosenPair(study)).find((one) => one[side].columns.length)?.[side];
  return (run?.columns ?? []).map((column) => [column.title, columnName(column)]);
}

function sideOf(run, index, title, arm) {
  const verdict = el("p", { class: "verdict" });
  tellVerdict(verdict, run, lastOf(run), index);
  const column = columnOf(run, title);
  const cell = column && makeCell(run, { whose: "", run, epoch: null, words: "", column }, tallest(run));
  if (cell) cell.bind(index);
  const name = el("p", { class: "pair-arm" }, el("b", {}, el("bdi", {}, arm)), " ", column ? el("span", { class: "muted" }, columnName(column)) : null);
  return { cell, element: el("div", { class: "pair-side" }, name, cell?.element ?? el("p", { class: "muted" }, "no maps"), verdict) };
}

function cardOf(pair, { seed, a, b, index, place }) {
  const picture = makeFrame(a, tallest(a));
  picture.bind(index);
  const sides = [sideOf(a, index, state.mapA, pair.a), sideOf(b, place, state.mapB, pair.b)];
  const cells = sides.map((side) => side.cell).filter(Boolean);
  const head = el("p", { class: "pair-arm" }, el("bdi", {}, sampleTitle(a, index)), " ", el("span", { class: "muted" }, `seed ${seed}`));
  const file = fileName(a, index);
  const original = el("div", { class: "pair-side" }, head, picture.slot, file && el("p", { class: "muted pair-name" }, el("bdi", {}, file)));
  const element = el("li", { class: "pair-card with-maps" }, original, sides.map((side) => side.element));
  linkPointer(element, picture.frame, cells);
  return { element, cells };
}

// Cells are painted once their size is known.
function paint(cards) {
  for (const cell of cards.flatMap((card) => card.cells)) {
    cell.size = { width: cell.frame.clientWidth, height: cell.frame.clientHeight };
    enqueue(cell);
  }
}

function makeTools(study) {
  const seeds = () => [["", "all"], ...sharedSeeds(chosenPair(study)).map(({ seed }) => [String(seed), String(seed)])];
  const maps = (side) => () => {
    const titles = titlesOf(study, side);
    return titles.length ? [["", "default"], ...titles] : [["", "none"]];
  };
  const kinds = { a: "A right, B wrong", b: "B right, A wrong", neither: "both wrong", both: "both right", all: "all" };
  return el(
    "div",
    { class: "panel-tools" },
    pairControls(study),
    select("maps", "Validation images", kinds),
    select("seed", "Seed", seeds),
    select("mapA", "Map of A", maps("a")),
    select("mapB", "Map of B", maps("b")),
    rangeControl("opacity", "Opacity", 0, 1, 0.05, (value) => formatPercent(value)),
    toggleControl("box", "True boxes"),
  );
}

const DRAWN_BY = ["a", "b", "recipe", "maps", "seed", "mapA", "mapB", "theme"];

export function makeCompared(study) {
  if (!report.runs.some((run) => run.epochs.length && run.probes.length)) return null;
  const list = el("ul", { class: "pair-list" });
  const words = el("p", { class: "muted hint" });
  const empty = el("p", { class: "empty" }, "No such image was recorded for these two.");
  let [every, cards] = [false, []];
  const more = pushButton("", () => {
    every = true;
    draw();
  });
  function draw() {
    const pair = chosenPair(study);
    const found = sharedImages(sharedSeeds(pair), state.maps, state.seed);
    cards = (every ? found : found.slice(0, FIRST)).map((one) => cardOf(pair, one));
    list.replaceChildren(...cards.map((card) => card.element));
    empty.hidden = found.length > 0;
    more.hidden = cards.length === found.length;
    more.textContent = `Show all ${found.length}`;
    const epochs = found.length ? `after epoch ${nearestSnapshot(found[0].a, Infinity).epoch + 1}` : "";
    words.textContent = `Maps that the runs recorded ${epochs} of validation images; A and B of a row have the same seed.`.replace("  ", " ");
    paint(cards);
  }
  watch((values) => {
    if (!DRAWN_BY.some((name) => name in values)) return;
    every = false;
    draw();
  });
  const section = el("section", { "aria-labelledby": "compared", class: "compared-maps" }, el("h2", { id: "compared" }, "Maps side by side"), makeTools(study), words, list, empty, el("p", { class: "more-line" }, more));
  followDisplay(section);
  draw();
  new ResizeObserver(() => paint(cards)).observe(list);
  return section;
}
