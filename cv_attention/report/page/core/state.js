// The reader's choices. They are kept in the URL (after the #), so that a view can be saved and shared.
// A panel adds its choices as one more line here, or with `addField` in its own file.

import { epochRange } from "./epochs.js";
import { aChoice, aList, anIndex, aNumber, aSelection, aSwitch, aText, clampNumber } from "./fields.js";
import { report } from "./report.js";

export const FIELDS = {
  epoch: {
    start: null,
    read: (text) => clampNumber(text, 0, 1e9, 1) - 1,
    write: (value) => String(value + 1),
  },
  run: aNumber(0, 0, 1e6),
  // how maps are drawn
  opacity: aNumber(0.65, 0, 1),
  colours: aChoice("viridis", ["viridis", "cividis", "inferno", "magma", "grey"]),
  signed: aChoice("blue-red", ["blue-red", "purple-green"]),
  scale: aChoice("natural", ["natural", "image", "column", "run", "global", "manual"]),
  clip: aChoice("0", ["0", "1", "2", "5"]), // percent of the values beyond each end of the colours
  low: aNumber(0, -1e9, 1e9),
  high: aNumber(1, -1e9, 1e9),
  smooth: aSwitch(true),
  box: aSwitch(true),
  threshold: aNumber(0, 0, 1),
  contour: aSwitch(false),
  size: aNumber(132, 64, 320),
  zoom: aNumber(1, 1, 16),
  x: aNumber(0.5, 0, 1),
  y: aNumber(0.5, 0, 1),
  columns: aList(null),
  // which samples are listed, and in which order
  search: aText(""),
  show: aChoice("all", ["all", "correct", "wrong"]),
  label: anIndex(),
  predicted: anIndex(),
  least: aNumber(0, 0, 1),
  most: aNumber(1, 0, 1),
  flag: aText(""),
  agreement: aText(""), // with another run: "gained:1"
  where: aText(""), // a condition that the reader typed
  sort: aText(""),
  down: aSwitch(true),
  sample: anIndex(),
  large: anIndex(), // the column that is shown large
  every: aSwitch(false), // whether all samples are listed, rather than the first few
  selected: aSelection(),
  // what maps are compared with
  versus: aText(""),
  compare: aChoice("difference", ["difference", "swipe", "blink"]),
  split: aNumber(0.5, 0, 1),
};
export const THEMES = ["auto", "light", "dark"];
export const state = { theme: "auto" }; // kept in the browser, not in the URL
for (const [name, field] of Object.entries(FIELDS)) state[name] = field.start;
const watchers = [];
const carries = [];
const limits = []; // {names, fits}: fields that return to their defaults if they do not fit a run

export function addField(name, field) {
  FIELDS[name] = field;
  state[name] = field.start;
}

// fits(run): whether the present values of these fields apply to the run.
export function limitFields(names, fits) {
  limits.push({ names, fits });
}

// carry(before, after): the values of fields when another run is chosen, where the same things may have other numbers.
export function carryFields(carry) {
  carries.push(carry);
}

export function watch(update) {
  watchers.push(update);
}

export function currentRun() {
  return report.runs[state.run];
}

// The columns that are shown by default: saliency, then the last maps of the network, which are the easiest to read.
export function suggestedColumns(run) {
  const saliency = run.columns.filter((column) => column.source === "saliency").map((column) => column.index);
  const attention = run.columns
    .filter((column) => column.source !== "saliency")
    .map((column) => column.index);
  return [...saliency, ...attention.slice(-Math.max(2, 6 - saliency.length))].map((index) => run.columns[index]);
}

export function shownColumns(run) {
  if (!state.columns) return suggestedColumns(run);
  return [...new Set(state.columns)].map((index) => run.columns[index]).filter(Boolean);
}

export function change(values) {
  const turned = STEPS.filter((name) => name in values && values[name] !== state[name]);
  const [before, after] = [currentRun(), report.runs[values.run ?? state.run]];
  if (before && after && before !== after) for (const carry of carries) Object.assign(state, carry(before, after));
  Object.assign(state, values);
  settle();
  writeAddress(isNewStep(turned));
  for (const update of watchers) update(values);
}

// Choices that the browser's Back takes back. What is dragged or played only changes the present entry.
const STEPS = ["run", "search", "show", "label", "predicted", "least", "most", "flag", "agreement", "where", "sort", "down"];
STEPS.push("columns", "versus", "adjacent", "scale", "hidden", "grouped", "span");
const ONE_STEP = 1500; // ms between two changes of the same choice, such as letters of a word, that are one step
let lastStep = { names: "", at: 0 };

function isNewStep(turned) {
  if (!turned.length) return false;
  const step = { names: turned.join(), at: Date.now() };
  const same = step.names === lastStep.names && step.at - lastStep.at < ONE_STEP;
  lastStep = step;
  return !same;
}

// Keeps the epoch within the chosen run.
function settle() {
  state.run = Math.round(clampNumber(state.run, 0, Math.max(0, report.runs.length - 1), 0));
  const run = currentRun();
  const range = run && epochRange(run);
  if (!range) return;
  const last = run.epochs.length ? run.epochs[run.epochs.length - 1].epoch : range[1];
  state.epoch = Math.round(clampNumber(state.epoch ?? last, range[0], range[1], last));
  forgetUnknown(run);
}

// Choices in the URL that do not apply to the run fall back to their defaults.
function forgetUnknown(run) {
  const forget = (...names) => names.forEach((name) => (state[name] = FIELDS[name].start));
  const [kind, number] = [state.versus.split(":")[0], Number(state.versus.split(":")[1])];
  const comparable = {
    epoch: () => run.epochs.some(({ epoch }) => epoch === number),
    column: () => run.columns[number]?.bars === false,
    run: () => report.runs[number] && number !== state.run,
  };
  if (state.versus && !comparable[kind]?.()) forget("versus");
  if (state.sample !== null && !run.probes[state.sample]) forget("sample");
  if (state.columns?.length && !state.columns.some((index) => run.columns[index])) forget("columns");
  for (const name of ["label", "predicted"])
    if (run.classes.length && state[name] !== null && !run.classes[state[name]]) forget(name);
  for (const { names, fits } of limits) if (!fits(run)) forget(...names);
}

export function readAddress() {
  const given = new URLSearchParams(location.hash.slice(1));
  for (const [name, field] of Object.entries(FIELDS)) {
    state[name] = given.has(name) ? field.read(given.get(name)) : field.start;
  }
  settle();
}

function writeAddress(step) {
  const kept = new URLSearchParams();
  for (const [name, field] of Object.entries(FIELDS)) {
    const value = state[name];
    if (value === null || String(value) === String(field.start)) continue;
    kept.set(name, field.write(value));
  }
  try {
    const address = `#${kept.toString().replaceAll("%2C", ",")}`;
    if (step) history.pushState(null, "", address);
    else history.replaceState(null, "", address);
  } catch {
    // Some browsers reject this for files, or if it happens too often; the page works without it.
  }
}
