// A line above the list: which filters limit it, each with a button that takes it away, and how many images are selected.

import { className } from "../core/class_names.js";
import { pushButton } from "../core/controls.js";
import { el } from "../core/dom.js";
import { nearestSnapshot } from "../core/epochs.js";
import { formatPercent, isolated } from "../core/format.js";
import { report } from "../core/report.js";
import { change, currentRun, FIELDS, state, watch } from "../core/state.js";
import { conditionFault } from "../samples/conditions.js";
import { AGREEMENTS, chosenAgreement } from "../samples/twins.js";

const named = (value) => isolated(className(currentRun(), value));

// Field -> what it does to the list, in words.
const WORDS = {
  search: (text) => `search: ${isolated(text)}`,
  label: (value) => `true class: ${named(value)}`,
  predicted: (value) => `predicted: ${named(value)}`,
  show: (value) => ({ correct: "right", wrong: "wrong" })[value],
  least: (value) => `confidence from ${formatPercent(value)}`,
  most: (value) => `confidence to ${formatPercent(value)}`,
  flag: (flag) => (flag.startsWith("tag:") ? `tag: ${isolated(flag.slice(4))}` : isolated(flag)),
  agreement: () => {
    const { kind, number } = chosenAgreement();
    return AGREEMENTS[kind].words(isolated(report.runs[number].name));
  },
  where: (text) => {
    const fault = conditionFault(currentRun(), nearestSnapshot(currentRun(), state.epoch));
    return `${isolated(text)}${fault ? " (not applied)" : ""}`;
  },
};
const FILTERS = Object.keys(WORDS);

const inUse = () => FILTERS.filter((name) => String(state[name] ?? "").trim() !== String(FIELDS[name].start ?? ""));
const starts = (names) => Object.fromEntries(names.map((name) => [name, FIELDS[name].start]));

export const clearFilters = () => change(starts(FILTERS));

export function activeFilters() {
  return inUse().filter((name) => name !== "search").length || "";
}

const chip = (words, title, remove) =>
  el("li", {}, pushButton([el("bdi", { class: "two-lines" }, words), " ×"], remove, { class: "quiet in-use", "aria-label": title, title }));

export function makeActive() {
  const line = el("ul", { class: "active", "aria-label": "What limits the list" });
  let shown = "";
  const show = () => {
    const names = currentRun() ? inUse() : [];
    const chips = names.map((name) => [WORDS[name](state[name]), name]);
    const count = state.selected.length;
    const signature = JSON.stringify([chips, count]);
    if (signature === shown) return;
    shown = signature;
    line.hidden = !chips.length && !count;
    const parts = chips.map(([words, name]) => chip(words, `Remove the filter: ${words}`, () => change(starts([name]))));
    if (chips.length > 1) parts.push(el("li", {}, pushButton("Clear all", clearFilters, { class: "quiet" })));
    if (count) parts.push(chip(`${count} selected`, "Select none", () => change({ selected: [] })));
    line.replaceChildren(...parts);
  };
  watch(show);
  show();
  return line;
}
