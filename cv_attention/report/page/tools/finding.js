// Finding samples: search by name and class, filters, order.

import { className } from "../core/class_names.js";
import { labelled, pushButton, rangeControl, select } from "../core/controls.js";
import { el } from "../core/dom.js";
import { nearestSnapshot } from "../core/epochs.js";
import { columnName, formatPercent, isolated } from "../core/format.js";
import { report } from "../core/report.js";
import { change, currentRun, shownColumns, state, watch } from "../core/state.js";
import { conditionFault, conditionNames } from "../samples/conditions.js";
import { fitsRun, FLAGS } from "../samples/flags.js";
import { knownTags } from "../samples/notes.js";
import { hasSort, measuresHere, measuresNow, SORTS } from "../samples/sorting.js";
import { AGREEMENTS } from "../samples/twins.js";
import { clearFilters } from "./active.js";

function classOptions(run) {
  return [["", "any"], ...run.classes.map((_, i) => [String(i), className(run, i)])];
}

function flagOptions(run) {
  const recorded = [...new Set(run.probes.flatMap((probe) => probe.flags ?? []))].sort();
  const named = (names) => names.map((name) => [name, name]);
  return {
    "": "any",
    ...(recorded.length ? { recorded: named(recorded) } : {}),
    predictions: named(Object.keys(FLAGS).filter((name) => fitsRun(run, name))),
    yours: [
      ["selected", "selected"],
      ["noted", "with a note"],
      ...knownTags(run).map((tag) => [`tag:${tag}`, `tag: ${isolated(tag)}`]),
    ],
  };
}

function agreementOptions(run) {
  const groups = report.runs.flatMap((other, number) => {
    if (other === run || !other.probes.length) return [];
    return [[other.name, Object.entries(AGREEMENTS).map(([kind, { words }]) => [`${kind}:${number}`, words(isolated(other.name))])]];
  });
  return [["", "any"], ...groups];
}

// A condition in the reader's own words, with what is wrong with it and what it may name.
function makeCondition() {
  const here = () => nearestSnapshot(currentRun(), state.epoch);
  const field = el("input", {
    type: "text",
    name: "where",
    maxlength: 200,
    spellcheck: "false",
    autocomplete: "off",
    placeholder: "confidence > 90% and not right",
    oninput: () => change({ where: field.value }),
  });
  const fault = el("span", { class: "fault", role: "status" });
  const names = el("ul", { class: "name-list" });
  const signs = "Numbers, percentages, names of classes in quotes, + − * /, < <= = != >= >, and, or, not, brackets. A click adds a name:";
  const help = el("details", { class: "names" }, el("summary", {}, "What a condition may contain"), el("p", { class: "muted" }, signs), names);
  const add = (name) => {
    field.setRangeText(name, field.selectionStart, field.selectionEnd, "end");
    field.focus();
    change({ where: field.value });
  };
  let listed = "";
  const show = () => {
    if (field.value !== state.where && document.activeElement !== field) field.value = state.where;
    const problem = currentRun() ? conditionFault(currentRun(), here()) : "";
    fault.textContent = problem ? `Not applied: ${problem}${/[?.]$/.test(problem) ? "" : "."}` : "";
    field.setAttribute("aria-invalid", String(Boolean(problem)));
    if (!help.open) return;
    const known = conditionNames(currentRun(), here());
    if (listed === known.join()) return;
    listed = known.join();
    names.replaceChildren(...known.map((name) => el("li", {}, pushButton(el("bdi", {}, name), () => add(name), { class: "quiet" }))));
  };
  help.addEventListener("toggle", show);
  watch(show);
  show();
  return el("div", { class: "condition" }, labelled("Condition", field), fault, help);
}

const measured = new Map(); // "folder of the run/column" -> names of its measures

// Measures by column, as far as they are loaded; they are requested when the reader opens the list.
function sortOptions(run) {
  const fitting = Object.entries(SORTS).filter(([name]) => hasSort(run, name));
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
    dir: "auto",
    id: "search",
    placeholder: "Search names and classes",
    "aria-label": "Search names and classes",
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
  return el(
    "div",
    { class: "controls" },
    select("label", "True class", classOptions, toIndex("label")),
    select("predicted", "Predicted class", classOptions, toIndex("predicted")),
    select("show", "Prediction", { all: "right or wrong", correct: "right", wrong: "wrong" }),
    rangeControl("least", "Confidence from", 0, 1, 0.01, percent),
    rangeControl("most", "Confidence to", 0, 1, 0.01, percent),
    select("flag", "Flag", flagOptions),
    report.runs.length > 1 && select("agreement", "Compared with another run", agreementOptions),
    makeCondition(),
    pushButton("Clear all filters", clearFilters, { class: "quiet" }),
  );
}
