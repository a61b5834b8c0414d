// Finding samples: search by file name, filters, order.

import { pushButton, rangeControl, select } from "../core/controls.js";
import { el } from "../core/dom.js";
import { nearestSnapshot } from "../core/epochs.js";
import { columnName, formatPercent } from "../core/format.js";
import { change, currentRun, FIELDS, shownColumns, state, watch } from "../core/state.js";
import { fitsRun, FLAGS } from "../samples/flags.js";
import { knownTags } from "../samples/notes.js";
import { measuresHere, measuresNow, SORTS } from "../samples/sorting.js";

const FILTERS = ["label", "predicted", "show", "least", "most", "flag"];

function classOptions(run) {
  const names = Object.fromEntries(run.classes.map((name, i) => [i, name]));
  return { "": "any", ...names };
}

function flagOptions(run) {
  const recorded = [...new Set(run.probes.flatMap((probe) => probe.flags ?? []))].sort();
  const named = (names) => Object.fromEntries(names.map((name) => [name, name]));
  return {
    "": "any",
    ...(recorded.length ? { recorded: named(recorded) } : {}),
    predictions: named(Object.keys(FLAGS).filter((name) => fitsRun(run, name))),
    yours: {
      selected: "selected",
      noted: "with a note",
      ...Object.fromEntries(knownTags(run).map((tag) => [`tag:${tag}`, `tag: ${tag}`])),
    },
  };
}

const measured = new Map(); // "folder of the run/column" -> names of its measures

// Measures by column, as far as they are loaded; they are requested when the reader opens the list.
function sortOptions(run) {
  const fitting = Object.entries(SORTS).filter(([name]) => fitsRun(run, name));
  const plain = Object.fromEntries(fitting.map(([name, sort]) => [name, sort.text]));
  const options = { "": "as recorded", name: "file name", ...plain };
  for (const column of shownColumns(run)) {
    const names = measured.get(`${run.folder}/${column.index}`) ?? [];
    const group = Object.fromEntries(names.map((name) => [`${column.index}:${name}`, name]));
    if (names.length) options[`map: ${columnName(column)}`] = group;
  }
  return options;
}

// Remembers which measures each column has.
function noteMeasures() {
  const run = currentRun();
  for (const snapshot of run.epochs) {
    for (const [column, found] of Object.entries(measuresHere.get(snapshot) ?? {})) {
      const key = `${run.folder}/${column}`;
      measured.set(key, [...new Set([...(measured.get(key) ?? []), ...Object.keys(found)])].sort());
    }
  }
}

export function makeSearch() {
  const field = el("input", {
    type: "search",
    id: "search",
    placeholder: "Search file names",
    "aria-label": "Search file names",
    oninput: () => change({ search: field.value }),
    onkeydown: (event) => {
      if (event.key !== "Escape") return;
      change({ search: "" });
      field.blur(); // so that the page's shortcuts work again
    },
  });
  const show = () => {
    if (field.value !== state.search) field.value = state.search;
  };
  watch(show);
  show();
  return field;
}

export function makeSort() {
  const ask = () => {
    const snapshot = currentRun() && nearestSnapshot(currentRun(), state.epoch);
    if (snapshot) measuresNow(snapshot);
  };
  const pick = (sort) => change({ sort, down: !["", "name", "label"].includes(sort) });
  const field = select("sort", "Sort by", (run) => (noteMeasures(), sortOptions(run)), pick);
  field.addEventListener("pointerdown", ask);
  field.addEventListener("focusin", ask);
  if (/^\d+:/.test(state.sort)) ask();
  const way = pushButton("", () => change({ down: !state.down }), { class: "way" });
  const show = () => {
    way.textContent = state.down ? "↓" : "↑";
    way.disabled = !state.sort;
    way.setAttribute(
      "aria-label",
      state.down ? "Largest first; click for smallest first" : "Smallest first; click for largest first",
    );
  };
  watch(show);
  show();
  return el("span", { class: "sort" }, field, way);
}

export function makeFilters() {
  const toIndex = (name) => (value) => change({ [name]: value === "" ? null : Number(value) });
  const percent = (value) => formatPercent(value);
  const clear = () =>
    change({ search: "", ...Object.fromEntries(FILTERS.map((name) => [name, FIELDS[name].start])) });
  return el(
    "div",
    { class: "controls" },
    select("label", "True class", classOptions, toIndex("label")),
    select("predicted", "Predicted class", classOptions, toIndex("predicted")),
    select("show", "Prediction", { all: "right or wrong", correct: "right", wrong: "wrong" }),
    rangeControl("least", "Confidence from", 0, 1, 0.01, percent),
    rangeControl("most", "Confidence to", 0, 1, 0.01, percent),
    select("flag", "Flag", flagOptions),
    pushButton("Clear all filters", clear, { class: "quiet" }),
  );
}

export function activeFilters() {
  return FILTERS.filter((name) => state[name] !== FIELDS[name].start).length || "";
}
