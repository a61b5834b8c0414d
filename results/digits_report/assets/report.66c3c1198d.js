(() => {
"use strict";
// core/dom.js
const $module0 = (() => {
// Elements from names, attributes and children. Text becomes text nodes, never markup: class names, file
// names and configuration values are untrusted.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children.flat(2)) {
    if (child !== null && child !== undefined && child !== false) element.append(child);
  }
  return element;
}

function el(name, attributes, ...children) {
  return fill(document.createElement(name), attributes, children);
}

function svg(name, attributes, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children);
}

// A long dotted name that may break after each dot.
function breakable(name) {
  return name.split(/(?<=[._/])/).flatMap((part, i) => (i ? [el("wbr"), part] : [part]));
}
return { el, svg, breakable };
})();
// core/epochs.js
const $module1 = (() => {
// The epochs of a run.

// The epochs in which maps, or texts that were read, were recorded.
function recordedEpochs(run) {
  const texts = Object.keys(run.panels?.reading ?? {}).map(Number);
  return [...new Set([...run.epochs.map((snapshot) => snapshot.epoch), ...texts])];
}

// All epochs that the slider visits: those with curves and those with maps.
function epochRange(run) {
  const known = recordedEpochs(run);
  for (const points of Object.values(run.series)) {
    for (const point of [points[0], points[points.length - 1]])
      known.push(Math.max(0, Math.ceil(point[0]) - 1));
  }
  if (!known.length) return null;
  return [Math.min(...known), Math.max(...known)];
}

// The logged epoch nearest to this one; if a column is given, the nearest in which it was logged.
function nearestSnapshot(run, epoch, column = null) {
  let best = null;
  for (const snapshot of run.epochs) {
    if (column && !snapshot.maps[column.index]) continue;
    if (!best || Math.abs(snapshot.epoch - epoch) < Math.abs(best.epoch - epoch)) best = snapshot;
  }
  return best;
}
return { recordedEpochs, epochRange, nearestSnapshot };
})();
// core/fields.js
const $module2 = (() => {
// Kinds of fields of the state: their default, and how they are read from and written to the URL.

function clampNumber(text, low, high, otherwise) {
  const value = Number.parseFloat(text);
  return Number.isFinite(value) ? Math.min(high, Math.max(low, value)) : otherwise;
}

const aNumber = (start, low, high) => ({
  start,
  read: (text) => clampNumber(text, low, high, start),
  write: (value) => String(Number(value.toPrecision(6))),
});
const aChoice = (start, choices) => ({
  start,
  choices,
  read: (text) => (choices.includes(text) ? text : start),
  write: String,
});
const aSwitch = (start) => ({ start, read: (text) => text !== "0", write: (value) => (value ? "1" : "0") });
const aText = (start) => ({ start, read: (text) => text.slice(0, 200), write: String });
const aList = (start) => ({
  start,
  read: (text) => text.split(",").filter(Boolean).map(Number).filter(Number.isInteger),
  write: (value) => value.join(","),
});
// Distinct indices in order, as "0-2,7": thousands of neighbours stay short.
const aSelection = () => ({
  start: [],
  read: readSpans,
  write: writeSpans,
});

const MOST_SELECTED = 1e6;

function readSpans(text) {
  const found = new Set();
  for (const span of text.split(",")) {
    const ends = span.match(/^(\d{1,7})(?:-(\d{1,7}))?$/);
    if (!ends) continue;
    const last = Math.min(Number(ends[2] ?? ends[1]), MOST_SELECTED);
    for (let index = Number(ends[1]); index <= last; index++) found.add(index);
  }
  return [...found].sort((a, b) => a - b);
}

function writeSpans(indices) {
  const spans = [];
  for (const index of indices) {
    const last = spans[spans.length - 1];
    if (last && last[1] + 1 === index) last[1] = index;
    else spans.push([index, index]);
  }
  return spans.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`)).join(",");
}

const MOST_TEXTS = 100;

const someTexts = () => ({
  start: [],
  read: (text) => text.split("|").filter(Boolean).slice(0, MOST_TEXTS).map((one) => one.slice(0, 200)),
  write: (texts) => texts.join("|"),
});

const anIndex = () => ({
  start: null,
  read: (text) => (/^\d{1,9}$/.test(text) ? Number(text) : null),
  write: String,
});
return { clampNumber, aNumber, aChoice, aSwitch, aText, aList, aSelection, someTexts, anIndex };
})();
// core/report.js
const $module3 = (() => {
// The data of the page: its own script, which runs before this one, defines it.

const report = globalThis.cvAttentionReport ?? { runs: [] };
for (const run of report.runs) for (const snapshot of run.epochs) snapshot.run = run;
return { report };
})();
// core/state.js
const $module4 = (() => {
const { epochRange } = $module1;
const { aChoice, aList, anIndex, aNumber, aSelection, aSwitch, aText, clampNumber } = $module2;
const { report } = $module3;
// The reader's choices. They are kept in the URL (after the #), so that a view can be saved and shared.
// A panel adds its choices as one more line here, or with `addField` in its own file.





const FIELDS = {
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
const THEMES = ["auto", "light", "dark"];
const state = { theme: "auto" }; // kept in the browser, not in the URL
for (const [name, field] of Object.entries(FIELDS)) state[name] = field.start;
const watchers = [];
const limits = []; // {names, fits}: fields that return to their defaults if they do not fit a run

function addField(name, field) {
  FIELDS[name] = field;
  state[name] = field.start;
}

// fits(run): whether the present values of these fields apply to the run.
function limitFields(names, fits) {
  limits.push({ names, fits });
}

function watch(update) {
  watchers.push(update);
}

function currentRun() {
  return report.runs[state.run];
}

// The columns that are shown by default: saliency, then the last maps of the network, which are the easiest to read.
function suggestedColumns(run) {
  const saliency = run.columns.filter((column) => column.source === "saliency").map((column) => column.index);
  const attention = run.columns
    .filter((column) => column.source !== "saliency")
    .map((column) => column.index);
  return [...saliency, ...attention.slice(-Math.max(2, 6 - saliency.length))].map((index) => run.columns[index]);
}

function shownColumns(run) {
  if (!state.columns) return suggestedColumns(run);
  return [...new Set(state.columns)].map((index) => run.columns[index]).filter(Boolean);
}

function change(values) {
  const turned = STEPS.filter((name) => name in values && values[name] !== state[name]);
  const runChanged = "run" in values && values.run !== state.run;
  Object.assign(state, values);
  if (runChanged) for (const name of ["columns", "sample", "large", "label", "predicted"]) state[name] = null;
  if (runChanged) Object.assign(state, { selected: [], sort: "", versus: "" });
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

function readAddress() {
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
return { FIELDS, THEMES, state, addField, limitFields, watch, currentRun, suggestedColumns, shownColumns, change, readAddress };
})();
// core/controls.js
const $module5 = (() => {
const { el } = $module0;
const { change, currentRun, state, watch } = $module4;
// Form fields that show and change one part of the state.




let fields = 0;

// The label names its field explicitly: otherwise the output of a value inside of it would be what it labels.
function labelled(label, field, ...classes) {
  field.id ||= `field-${++fields}`;
  return el("label", { class: ["control", ...classes].join(" "), for: field.id }, el("span", {}, label), field);
}

// options: [[value, text]] in their order, or {value: text}; or a function of the run that returns one. Instead of a
// text, a group has options of its own. Values that are numbers need the list: objects order them first.
function select(name, label, options, onpick = (value) => change({ [name]: value })) {
  const field = el("select", { name, onchange: () => onpick(field.value) });
  let filled = "";
  const show = () => {
    const now = typeof options === "function" ? options(currentRun()) : options;
    const signature = JSON.stringify(now);
    const before = field.value;
    if (signature !== filled) field.replaceChildren(...optionElements(now));
    filled = signature;
    field.value = state[name] ?? "";
    if (field.selectedIndex < 0) field.value = before; // nothing was chosen: what the section showed of itself stays
  };
  watch(show);
  show();
  return labelled(label, field);
}

function optionElements(options) {
  const pairs = Array.isArray(options) ? options : Object.entries(options);
  return pairs.map(([value, text]) =>
    typeof text === "object"
      ? el("optgroup", { label: value }, optionElements(text))
      : el("option", { value }, text),
  );
}

function rangeControl(name, label, low, high, step, format, onmove = (value) => change({ [name]: value })) {
  const shown = el("output");
  const field = el("input", {
    type: "range",
    min: low,
    max: high,
    step,
    name,
    oninput: () => onmove(Number(field.value)),
  });
  const show = () => {
    field.value = state[name];
    shown.textContent = format(state[name]);
  };
  watch(show);
  show();
  return labelled([label, " ", shown], field);
}

// label: a text, or a function that returns it.
function toggleControl(name, label) {
  const field = el("input", { type: "checkbox", name, onchange: () => change({ [name]: field.checked }) });
  const words = el("span");
  const show = () => {
    field.checked = state[name];
    words.textContent = typeof label === "function" ? label() : label;
  };
  watch(show);
  show();
  return el("label", { class: "control check" }, field, words);
}

// A number that may be typed; nothing else changes the state.
function numberControl(name, label) {
  const field = el("input", {
    type: "number",
    step: "any",
    name,
    onchange: () => Number.isFinite(field.valueAsNumber) && change({ [name]: field.valueAsNumber }),
  });
  const show = () => {
    if (document.activeElement !== field) field.value = state[name];
  };
  watch(show);
  show();
  return labelled(label, field);
}

function pushButton(text, onclick, attributes = {}) {
  return el("button", { type: "button", onclick, ...attributes }, text);
}
return { labelled, select, rangeControl, toggleControl, numberControl, pushButton };
})();
// core/theme.js
const $module6 = (() => {
const { el } = $module0;
const { change, state, THEMES, watch } = $module4;
// Light, dark, or as the system says; kept in the browser.




const KEY = "cv_attention.theme";

function recallTheme() {
  try {
    const kept = localStorage.getItem(KEY);
    if (THEMES.includes(kept)) state.theme = kept;
  } catch {
    // Without storage, the system's theme is used.
  }
}

function makeThemeButton() {
  const names = { auto: "Theme: system", light: "Theme: light", dark: "Theme: dark" };
  const next = () => change({ theme: THEMES[(THEMES.indexOf(state.theme) + 1) % THEMES.length] });
  const button = el("button", { type: "button", class: "quiet", onclick: next });
  const show = () => {
    button.textContent = names[state.theme];
    if (state.theme === "auto") document.documentElement.removeAttribute("data-theme");
    else document.documentElement.dataset.theme = state.theme;
    try {
      localStorage.setItem(KEY, state.theme);
    } catch {
      // Storage may be disabled for files; the theme is then not kept.
    }
  };
  watch((values) => {
    if ("theme" in values) show();
  });
  show();
  return button;
}
return { recallTheme, makeThemeButton };
})();
// core/format.js
const $module7 = (() => {
// Numbers and names as text.

function formatValue(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e5)) return value.toExponential(1).replaceAll("-", "−");
  const digits = size >= 100 ? 1 : size >= 10 ? 2 : 3;
  return String(Number(value.toFixed(digits))).replace("-", "−");
}

// The ends of a range, with as many digits as tell them apart.
function formatEnds(low, high) {
  if (![low, high].every((value) => Number.isFinite(value))) return [formatValue(low), formatValue(high)];
  const size = Math.max(Math.abs(low), Math.abs(high));
  const span = high - low || size;
  if (!span) return ["0", "0"];
  const decimals = 2 - Math.floor(Math.log10(span));
  if (size >= 1e5 || decimals > 8) return [low, high].map((value) => asPower(value, span));
  return [low, high].map((value) => String(Number(value.toFixed(Math.max(0, decimals)))).replace("-", "−"));
}

function asPower(value, span) {
  if (!value) return "0";
  const digits = Math.floor(Math.log10(Math.abs(value))) - Math.floor(Math.log10(span)) + 1;
  return value.toExponential(Math.min(9, Math.max(1, digits))).replaceAll("-", "−").replace("+", "");
}

// A name among other words: its direction of writing does not change theirs.
function isolated(name) {
  return `\u2068${name}\u2069`;
}

function formatCount(value) {
  if (value === null || value === undefined) return "–";
  const [size, unit] = [
    [1e12, " T"],
    [1e9, " G"],
    [1e6, " M"],
    [1e3, " k"],
  ].find(([least]) => value >= least) ?? [1, ""];
  return `${Number((value / size).toPrecision(3))}${unit}`;
}

function formatPercent(share, digits = 0) {
  return share === null || share === undefined ? "–" : `${(100 * share).toFixed(digits)} %`;
}

// Whether a metric of this name is a fraction, to be shown in percent.
function isShare(name, value) {
  return /acc|top|pointing|exact|in_box|^((test|val)_)?cer$/.test(name) && value >= 0 && value <= 1;
}

// Epochs are counted from 1: the epoch with index 4 is the fifth.
function epochName(epoch) {
  return epoch < 0 ? "before training" : `epoch ${epoch + 1}`;
}

// The epoch of a recording; a saliency export has none.
function snapshotName(snapshot) {
  return snapshot.run.export ? "" : epochName(snapshot.epoch);
}

function inWords(...parts) {
  return parts.filter(Boolean).join(", ");
}

// ".map" ends the name of every recorded submodule and carries no information. Saliency methods have their papers' names.
function columnName(column) {
  if (Object.hasOwn(METHODS, column.title)) return METHODS[column.title];
  return column.title.replace(/(\.attention)?\.map$/, "") || column.title;
}

const METHODS = {
  grad_cam: "Grad-CAM", grad_cam_plus_plus: "Grad-CAM++", smooth_grad_cam_plus_plus: "Smooth Grad-CAM++",
  xgrad_cam: "XGrad-CAM", layer_cam: "LayerCAM", refine_cam: "Refine-CAM", hires_cam: "HiResCAM",
  finer_cam: "Finer-CAM", shapley_cam: "ShapleyCAM", eigen_cam: "EigenCAM", eigen_grad_cam: "EigenGradCAM",
  score_cam: "Score-CAM", ablation_cam: "Ablation-CAM", full_grad: "FullGrad", guided_grad_cam: "Guided Grad-CAM",
  guided_backprop: "Guided backpropagation", input_x_gradient: "Input × gradient", gradient: "Gradient",
  integrated_gradients: "Integrated gradients", expected_gradients: "Expected gradients", smooth_grad: "SmoothGrad",
  var_grad: "VarGrad", gradient_shap: "GradientSHAP", occlusion: "Occlusion", rise: "RISE", lime: "LIME",
  kernel_shap: "KernelSHAP", deep_lift: "DeepLIFT", lrp: "LRP", attn_lrp: "AttnLRP", rollout: "Rollout",
}; // as their papers write them

function kindName(column) {
  const name = Object.hasOwn(METHODS, column.kind) ? METHODS[column.kind] : column.kind;
  return columnName(column).endsWith(name) ? "" : name;
}

const LITTLE = 0.01; // below this, a block hardly changes its input, or has nearly one factor for all places or channels

// How much the block of this column does: in the epoch of a snapshot on its images, or, where that was not recorded, at
// the end on validation images. {text, words, little}, or null if neither was measured.
function usageOf(run, column, snapshot) {
  const known = snapshot?.blocks ?? {};
  const sites = (run.panels?.network?.sites ?? []).map((site) => [site.block, site]);
  const [, site] = [...Object.entries(known), ...sites].find(
    ([block]) => block && (column.title === block || column.title.startsWith(`${block}.`)),
  ) ?? [];
  if (!site || site.change === undefined) return null;
  const [axis, spread] = column.bars ? ["channels", site.over_channels] : ["positions", site.over_positions];
  const [changed, varies] = [formatPercent(site.change, 1), formatPercent(spread, 1)];
  return {
    text: spread === undefined ? `changes ${changed}` : `changes ${changed}, varies ${varies}`,
    words: `The block changes its input by ${changed}; its factor varies by ${varies} over ${axis}`,
    little: site.change < LITTLE || (spread ?? 1) < LITTLE,
  };
}

const METRIC_WORDS = {
  pointing: "Fraction of test images on which the maximum of Grad-CAM for the true class lies in the true box",
  pointing_attention:
    "Fraction of test images on which the largest weight of the attention pooling lies in the true box",
  cer: "Character error rate: errors in all texts that were read, per character of all true texts",
  exact: "Fraction of test images whose text was read without an error",
  word_accuracy: "1 minus the errors per word; of texts that are one word each, the fraction read without an error",
  attention_in_box:
    "Fraction of the characters of the test texts whose largest weight lies in a position that touches their box",
  glimpse_in_box: "Fraction of test images whose last glimpse has its centre in the true box",
  glimpse_in_box_chance: "Fraction of the image that the true box covers: the baseline for glimpse_in_box",
  map: "Mean over classes of the average precision: the area under the curve of precision and recall",
  auroc: "Mean over classes of the area under the ROC curve: how often an image with a class gets a higher score than one without",
  f1_macro: "Mean over classes of the F1 score, at a threshold of 0.5",
  f1_micro: "F1 score of the decisions of all classes together, at a threshold of 0.5",
  f1_macro_tuned: "Mean over classes of the F1 score, at the thresholds chosen on the validation split",
  f1_micro_tuned: "F1 score of all decisions together, at the thresholds chosen on the validation split",
  subset_accuracy: "Fraction of test images all of whose classes are right, at a threshold of 0.5",
  balanced_accuracy: "Mean over classes of the recall",
  mae: "Mean absolute error, in the units of the data",
  rmse: "Root of the mean squared error, in the units of the data",
  r2: "Share of the variance of the true numbers that is explained",
  pixels_seen: "Numbers that the network reads of an image, per pixel of the image; coarse ones are means of many pixels",
  pointing_chance: "Fraction of test images on which a random point lies in the true box: the baseline for pointing",
};

// One sentence on a test metric whose name is not self-explanatory, or nothing.
function metricWords(name) {
  return METRIC_WORDS[name] ?? null;
}

function metricName(name) {
  const words = name.replace(/[_/]+/g, " ").trim();
  return words.charAt(0).toUpperCase() + words.slice(1);
}
return { formatValue, formatEnds, isolated, formatCount, formatPercent, isShare, epochName, snapshotName, inWords, columnName, kindName, usageOf, metricWords, metricName };
})();
// drawing/colours.js
const $module8 = (() => {
const { state } = $module4;
// Colour tables: a number of evenly spaced colours each, as rrggbb one after another, with straight lines between; the
// same as in Python's figures. viridis, inferno and magma (S. van der Walt, N. Smith) and cividis (J. Nuñez et al.) are
// perceptually uniform and dedicated to the public (CC0). The two for signed maps run over white, with the
// lightness of OKLab decreasing evenly to both sides; their ends are distinguishable for the colour-blind.



const ANCHORS = {
  viridis:
    "44015446085c471063481769481d6f482475472a7a46307e453781433d844142873f48893d4e8a3a538b38598c355e8d" +
    "33638d31688e2e6d8e2c718e2a768e297b8e27808e25848e23898e218e8d20928c1f978b1e9c891fa18821a58524aa83" +
    "28ae802eb37c35b7793dbc7446c06f50c46a5ac86465cb5e70cf577cd25089d54895d840a2da37b0dd2fbddf26cae11f" +
    "d8e219e5e419f1e51dfde725",
  inferno:
    "00000402020c0504170a072210092d160b391e0c45260c512f0a5b380962400a67490b6a510e6c59106e61136e69166e" +
    "71196e781c6d801f6c88226a902568982766a02a63a82e5fb0315bb73557bf3952c63d4dcc4248d34743d94d3ddf5337" +
    "e45a31e9612bed6925f1711ff47918f78212f98b0bfa9407fb9d07fca60cfcb014fbba1ffac42af8cd37f6d746f4e156" +
    "f2ea69f2f27df5f992fcffa4",
  magma:
    "00000402020b0504160907200e0b2b140e361a104221114e29115a311165390f6e420f754a107952137c5a167e621980" +
    "6a1c81721f81792282812581892881912b81992d80a1307eaa337db2357bba3878c23b75ca3e72d2426fd9466be04c67" +
    "e75263ec5860f1605df4695cf7725cf97b5dfb8560fc8e64fd9869fea16efeaa74feb47bfebd82fec68afecf92fed89a" +
    "fde2a3fdebacfcf4b6fcfdbf",
  cividis:
    "00224e00255300275800295d002b62002d68002f6d0031700533710f35701637701c396f213b6e263d6e2a3f6d2e416d" +
    "32436d35456c39486c3c4a6c3f4c6c424e6c45506c48526c4b546c4e566c51586d545a6d565c6d595e6e5c616e5e636f" +
    "61656f646770666970696b716c6d726e6f737172747374757676767878777b7a787e7c78807f78838179868379898578" +
    "8c88788f8a78928c78948e779791779a93769d9576a09875a39a74a69c74a99f73aca172afa471b3a670b6a96fb9ab6d" +
    "bcae6cbfb06bc2b369c5b568c8b866ccba64cfbd62d2c060d5c25ed9c55cdcc859dfca57e2cd54e6d051e9d34eedd54a" +
    "f0d846f3db42f7de3efbe138fee434fee838",
  grey: "000000ffffff",
  "blue-red":
    "235b9e2063b11c6bc52275d3307fdc3e89e44c93ea5b9df06aa7f47ab1f78bbbfa" +
    "9cc5fbadcffbbfd9fbd1e2f9e3ecf7f5f5f5f7e7e2f8d8d0f8cabef7bcadf5ae9c" +
    "f2a08bef927bea856ce4785ddd6b4fd55e41cc5335c34729b54023a43e25933b26",
  "purple-green":
    "6a2292742e9d7e39a88844b39250bd9c5cc6a569ceae76d6b783dcbf91e2c89fe7" +
    "d0adebd7bbeedfc9f0e6d8f2eee6f4f5f5f5e2ede4d0e5d3bdddc2abd5b299cca2" +
    "87c39375ba8463b17652a868409e5b2d944e178a4200803700762d006c22006117",
};

const tables = new Map();

// 256 colours, (256 * 3) bytes.
function colourTable(name) {
  if (tables.has(name)) return tables.get(name);
  const anchors = ANCHORS[name].match(/../g).map((pair) => Number.parseInt(pair, 16));
  const last = anchors.length / 3 - 1;
  const table = new Uint8Array(256 * 3);
  for (let i = 0; i < 256; i++) {
    const at = (i / 255) * last;
    const left = Math.min(last - 1, Math.floor(at));
    for (let c = 0; c < 3; c++) {
      const from = anchors[3 * left + c];
      table[3 * i + c] = Math.round(from + (at - left) * (anchors[3 * left + 3 + c] - from));
    }
  }
  tables.set(name, table);
  return table;
}

function tableOf(column) {
  return column.signed ? state.signed : state.colours;
}

const gradients = new Map();

// The table as a CSS gradient, for colour bars.
function gradient(name) {
  if (!gradients.has(name)) {
    const colours = ANCHORS[name].match(/.{6}/g);
    gradients.set(name, `linear-gradient(to right, ${colours.map((colour) => `#${colour}`).join(", ")})`);
  }
  return gradients.get(name);
}
return { colourTable, tableOf, gradient };
})();
// drawing/scales.js
const $module9 = (() => {
const { shownColumns, state } = $module4;
// The values at the ends of the colours: a natural range for each kind of map, one that maps share, or limits by hand.



const LEAST_SPREAD = 0.02; // of a gate's scale; below it a map is nearly constant
const LEAST_CONTRAST = 0.1; // of the uniform weight
const LEAST_RELATIVE = 1e-3; // of the largest value

function symmetric(lo, hi) {
  const most = Math.max(Math.abs(lo), Math.abs(hi));
  return [-most, most];
}

function finiteRange(values) {
  let lo = Infinity;
  let hi = -Infinity;
  for (const value of values) {
    if (!Number.isFinite(value)) continue;
    if (value < lo) lo = value;
    if (value > hi) hi = value;
  }
  return lo <= hi ? [lo, hi] : null;
}

// The value below which this fraction lies, interpolated between the neighbours; null without finite values.
function quantile(values, fraction) {
  const sorted = Float64Array.from(values.filter(Number.isFinite)).sort();
  if (!sorted.length) return null;
  const at = fraction * (sorted.length - 1);
  const low = sorted[Math.floor(at)];
  return low + (at - Math.floor(at)) * (sorted[Math.ceil(at)] - low);
}

// The mean of weights that sum to one: what each would be if they were all equal. It survives averaging into cells.
function uniformOf(map) {
  let sum = 0;
  let count = 0;
  for (const value of map.values) {
    if (!Number.isFinite(value)) continue;
    sum += value;
    count++;
  }
  return count ? sum / count : 0;
}

// The range of a map; signed ones keep zero in the middle. Null if the map has no finite value.
function valueRange(run, snapshot, column, map) {
  if (state.scale === "manual") return limitsByHand(column.signed);
  if (state.scale === "natural") return naturalRange(run, snapshot, column, map);
  if (state.scale === "image") return endsOf(map, column.signed);
  const shared = sharedRange(run, snapshot, column);
  return column.signed && shared ? symmetric(...shared) : shared;
}

function limitsByHand(signed) {
  const [low, high] = [Math.min(state.low, state.high), Math.max(state.low, state.high)];
  return signed ? symmetric(low, high) : [low, high];
}

// The extremes of one map, without the percentiles that are cut off.
function endsOf(map, signed) {
  if (map.lo === null || map.hi === null) return null;
  const cut = Number(state.clip) / 100;
  if (!cut) return signed ? symmetric(map.lo, map.hi) : [map.lo, map.hi];
  if (signed) {
    const most = quantile(map.values.map(Math.abs), 1 - cut);
    return [-most, most];
  }
  return [quantile(map.values, cut), quantile(map.values, 1 - cut)];
}

function extremesOf(epoch, index) {
  return epoch.clips?.[index]?.[state.clip] ?? epoch.ranges[index];
}

function sharedRange(run, snapshot, column) {
  const alike = (other) => other.bars === column.bars && other.signed === column.signed;
  const columns = state.scale === "global" ? shownColumns(run).filter(alike) : [column];
  const epochs = state.scale === "column" ? [snapshot] : run.epochs;
  return joined(epochs.flatMap((epoch) => columns.map(({ index }) => extremesOf(epoch, index))));
}

// The range that includes all of these; null if none is known.
function joined(ranges) {
  const known = ranges.filter(Boolean);
  if (!known.length) return null;
  return [Math.min(...known.map(([lo]) => lo)), Math.max(...known.map(([, hi]) => hi))];
}

// Gates have the scale of their function: 0 to 1, 0 to 2, -1 to 1; others that of all epochs, from zero.
function gateRange(run, column) {
  const all = joined(run.epochs.map((epoch) => epoch.ranges[column.index]));
  if (!all) return null;
  const [, most] = symmetric(...all);
  const end = most <= 1 ? 1 : most <= 2 ? 2 : most;
  return all[0] < 0 ? [-end, end] : [0, end];
}

// Weights that sum to one start at zero and reach at least twice the uniform weight; a saliency map, whose unit is
// arbitrary, starts at zero and ends at its own largest value.
function naturalRange(run, snapshot, column, map) {
  if (map.lo === null || map.hi === null) return null;
  if (column.weights) return [0, Math.max(2 * uniformOf(map), (extremesOf(snapshot, column.index) ?? [0, map.hi])[1])];
  if (column.source === "attention") return gateRange(run, column);
  const ends = endsOf(map, column.signed);
  return column.signed ? ends : [Math.min(0, ends[0]), Math.max(0, ends[1])];
}

// One range for weights that stand side by side, such as the heads of a block; `all`: those of every image.
function weightsRange(maps, all) {
  if (state.scale === "manual") return limitsByHand(false);
  const shared = ["column", "run", "global"].includes(state.scale);
  const range = shared ? finiteRange(all) : joined(maps.map((map) => finiteRange(map.values)));
  if (!range || state.scale === "image") return range;
  return [0, Math.max(range[1], ...maps.map((map) => 2 * uniformOf(map)))];
}

// Whether a map hardly varies, so that stretching it over all colours would show noise.
function isNearlyConstant(run, column, map) {
  if (map.lo === null || map.hi === null) return false;
  const spread = map.hi - map.lo;
  if (column.weights) return spread < LEAST_CONTRAST * uniformOf(map);
  if (column.source !== "attention") return spread <= LEAST_RELATIVE * symmetric(map.lo, map.hi)[1];
  const [lo, hi] = gateRange(run, column) ?? [0, 1];
  return spread < LEAST_SPREAD * (hi - lo);
}
return { finiteRange, quantile, uniformOf, valueRange, limitsByHand, joined, weightsRange, isNearlyConstant };
})();
// drawing/legend.js
const $module10 = (() => {
const { el } = $module0;
const { formatEnds, formatValue } = $module7;
const { gradient } = $module8;
const { uniformOf } = $module9;
// The colour bar of a map, with the values at its ends.






// {element, tell(layer), clear()}; a layer is {map, range, table, signed, uniform}; `mark` is a letter before the bar.
function makeColourBar(mark = null) {
  const [left, right] = [el("span"), el("span")];
  const bar = el("span", { class: "bar" });
  const element = el("span", { class: "scale" }, mark && el("span", { class: "scale-mark" }, mark), left, bar, right);
  function tell({ range, table, signed, uniform = null }) {
    bar.style.backgroundImage = gradient(table);
    bar.dataset.table = table;
    bar.classList.toggle("signed", signed);
    [left.textContent, right.textContent] = formatEnds(range?.[0], range?.[1]);
    const at = uniform && range && range[1] > range[0] ? (uniform - range[0]) / (range[1] - range[0]) : -1;
    bar.classList.toggle("with-uniform", at >= 0 && at <= 1);
    bar.style.setProperty("--uniform", `${100 * at}%`);
    element.title = uniform ? `The mark is the uniform weight, ${formatValue(uniform)}` : "";
  }
  const clear = () => (left.textContent = right.textContent = "");
  return { element, tell, clear };
}

// The same for channel gates, which are bars: their extremes, and how many there are.
function makeGateBar(mark = null) {
  const [most, count, least] = [el("span"), el("span", { class: "channels" }), el("span")];
  const element = el("span", { class: "scale" }, mark && el("span", { class: "scale-mark" }, mark), most, count, least);
  function tell({ map, range }) {
    const ends = formatEnds(map.lo, map.hi);
    [least.textContent, most.textContent] = ends;
    count.textContent = `${map.width} ch`;
    const [low, high] = range ? formatEnds(Math.min(0, range[0]), range[1]) : ["–", "–"];
    element.title = `${map.width} channels from ${ends[1]} to ${ends[0]}; the bars are drawn from ${low} to ${high}`;
  }
  const clear = () => [most, count, least].forEach((part) => (part.textContent = ""));
  return { element, tell, clear };
}

// "0.0054, 1.4 × uniform"
function weightWords(value, map) {
  const uniform = uniformOf(map);
  return uniform > 0 ? `${formatValue(value)}, ${Number((value / uniform).toPrecision(2))} × uniform` : formatValue(value);
}
return { makeColourBar, makeGateBar, weightWords };
})();
// drawing/zoom.js
const $module11 = (() => {
const { change, state, watch } = $module4;
// Zoom and pan, shared by all pictures: Ctrl+wheel, two fingers or keys zoom, dragging pans. (x, y) is the point of the
// image at the centre of its frame.



function setZoom(zoom, x = state.x, y = state.y) {
  const clamped = Math.min(16, Math.max(1, zoom));
  const half = 0.5 / clamped;
  const inside = (at) => Math.min(1 - half, Math.max(half, at));
  change({ zoom: clamped, x: inside(x), y: inside(y) });
}

// Converts a point of the frame to a point of the image, both in fractions of width and height.
function throughZoom(across, down) {
  return [state.x + (across - 0.5) / state.zoom, state.y + (down - 0.5) / state.zoom];
}

const frameOf = (event) => event.target.closest?.(".frame:not(.gates)");

function shares(frame, { clientX, clientY }) {
  const edge = frame.getBoundingClientRect();
  return [(clientX - edge.left) / edge.width, (clientY - edge.top) / edge.height];
}

// Zooms so that the point of the image that was at (across, down) of the frame stays there.
function zoomAt([across, down], zoom) {
  const [x, y] = throughZoom(across, down);
  const clamped = Math.min(16, Math.max(1, zoom));
  setZoom(clamped, x - (across - 0.5) / clamped, y - (down - 0.5) / clamped);
}

function linkZoom(root) {
  const style = () => {
    const { zoom, x, y } = state;
    root.style.setProperty("--zoom", zoom);
    root.style.setProperty("--shift-x", `${100 * (0.5 - x * zoom)}%`);
    root.style.setProperty("--shift-y", `${100 * (0.5 - y * zoom)}%`);
    const [cut] = throughZoom(state.split, 0);
    root.style.setProperty("--cut", `${100 * Math.min(1, Math.max(0, cut))}%`);
    root.style.setProperty("--split", `${100 * state.split}%`);
    root.classList.toggle("zoomed", zoom > 1);
  };
  watch(style);
  style();
  const turn = (event) => {
    const frame = frameOf(event);
    if (!frame || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    zoomAt(shares(frame, event), state.zoom * 2 ** (-event.deltaY / 200));
  };
  root.addEventListener("wheel", turn, { passive: false });
  listenToDrags(root);
}

const STILL = 5; // pixels; what moves further is a drag, not a click

function listenToDrags(root) {
  const fingers = new Map(); // pointer -> its last event
  let held = null; // {frame, swiping, x, y, across, down, at}
  let pinch = null; // {distance, zoom}
  let dragged = false;
  const apart = ([a, b]) => Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY) || 1;
  const middle = ([a, b]) => ({ clientX: (a.clientX + b.clientX) / 2, clientY: (a.clientY + b.clientY) / 2 });

  function press(event) {
    const frame = frameOf(event);
    if (!frame || event.button !== 0) return;
    fingers.set(event.pointerId, event);
    dragged = fingers.size > 1;
    if (fingers.size === 2) {
      held = null;
      pinch = { frame, distance: apart([...fingers.values()]), zoom: state.zoom };
      return;
    }
    const swiping = state.versus && state.compare === "swipe" && Boolean(frame.closest(".swiping"));
    if (!(swiping || state.zoom > 1)) return;
    const [across, down] = shares(frame, event);
    held = { frame, swiping, x: state.x, y: state.y, across, down, at: event };
    if (event.pointerType !== "mouse" || swiping) frame.setPointerCapture(event.pointerId);
    if (swiping) change({ split: across });
  }

  function move(event) {
    if (fingers.has(event.pointerId)) fingers.set(event.pointerId, event);
    if (pinch && fingers.size === 2) {
      const pair = [...fingers.values()];
      zoomAt(shares(pinch.frame, middle(pair)), (pinch.zoom * apart(pair)) / pinch.distance);
    } else if (held) drag(event);
  }

  function drag(event) {
    const [across, down] = shares(held.frame, event);
    if (!dragged && apart([held.at, event]) < STILL) return;
    dragged = true;
    if (held.swiping) change({ split: Math.min(1, Math.max(0, across)) });
    else setZoom(state.zoom, held.x - (across - held.across) / state.zoom, held.y - (down - held.down) / state.zoom);
  }

  function release(event) {
    fingers.delete(event.pointerId);
    held = null;
    if (fingers.size < 2) pinch = null;
  }

  root.addEventListener("pointerdown", press);
  root.addEventListener("pointermove", move);
  for (const name of ["pointerup", "pointercancel"]) window.addEventListener(name, release);
  const spare = (event) => {
    if (dragged) event.stopPropagation();
    dragged = false;
  };
  root.addEventListener("click", spare, { capture: true });
}
return { setZoom, throughZoom, linkZoom };
})();
// drawing/readout.js
const $module12 = (() => {
const { el } = $module0;
const { formatValue } = $module7;
const { weightWords } = $module10;
const { throughZoom } = $module11;
// The value under the pointer, and the pointer's position on all maps of the same image.






let readout = null;

function makeReadout() {
  readout = el("div", { class: "readout", "aria-hidden": "true" });
  const away = (event) => event.target.closest?.(".frame, canvas, svg") || hideReadout();
  document.addEventListener("pointerdown", away);
  window.addEventListener("scroll", () => hideReadout(), { passive: true });
  return readout;
}

function showReadout(event, text) {
  const dialog = event.target.closest?.("dialog"); // lies above everything outside of it
  (dialog ?? document.getElementById("report")).append(readout);
  readout.textContent = text;
  readout.classList.add("shown");
  const most = document.documentElement.clientWidth - readout.offsetWidth - 6;
  const left = Math.max(4, Math.min(event.clientX + 14, most));
  const top = Math.max(4, event.clientY - readout.offsetHeight - 12);
  readout.style.transform = `translate(${left}px, ${top}px)`;
}

// A finger that leaves the screen leaves its value there.
function hideReadout(event) {
  if (event?.pointerType !== "touch") readout.classList.remove("shown");
}

function readValue(edge, event, column, shown) {
  const { map, other, difference, order } = shown;
  const across = Math.min(0.9999, Math.max(0, (event.clientX - edge.left) / edge.width));
  const down = Math.min(0.9999, Math.max(0, (event.clientY - edge.top) / edge.height));
  if (column.bars) {
    if (!order.length) return null;
    const place = Math.floor(across * order.length);
    const channel = order[place];
    const against = other ? ` · B ${formatValue(other.values[channel])}` : "";
    return `channel ${channel}: ${formatValue(map.values[channel])}${against} · ${place + 1} of ${order.length}`;
  }
  const [x, y] = throughZoom(across, down);
  const text = valueAt(map, x, y);
  const row = Math.floor(y * map.height);
  const where = `row ${row}, column ${Math.floor(x * map.width)} of ${map.height} × ${map.width}`;
  if (!other) return `${column.weights ? weightWords(map.values[cellAt(map, x, y)], map) : text} · ${where}`;
  const minus = difference
    ? ` · A − B ${valueAt(difference, x, y)}${shown.scaled ? " of their ranges" : ""}`
    : "";
  return `A ${text} · B ${valueAt(other, x, y)}${minus} · ${where}`;
}

function cellAt(map, x, y) {
  return Math.floor(y * map.height) * map.width + Math.floor(x * map.width);
}

function valueAt(map, x, y) {
  const value = map.values[cellAt(map, x, y)];
  return Number.isNaN(value) ? "not a number" : formatValue(value);
}

function linkPointer(row, picture, cells) {
  const follow = (frame) => (event) => {
    const edge = frame.getBoundingClientRect();
    row.style.setProperty("--x", `${(100 * (event.clientX - edge.left)) / edge.width}%`);
    row.style.setProperty("--y", `${(100 * (event.clientY - edge.top)) / edge.height}%`);
    row.classList.add("pointing");
  };
  for (const frame of [picture, ...cells.filter((cell) => !cell.bars).map((cell) => cell.frame)]) {
    frame.append(el("span", { class: "crosshair" }));
    frame.addEventListener("pointermove", follow(frame));
    frame.addEventListener("pointerleave", () => row.classList.remove("pointing"));
  }
  for (const cell of cells) {
    const tell = (event) => {
      const text = cell.read(event);
      if (text) showReadout(event, text);
      else hideReadout();
    };
    cell.frame.addEventListener("pointermove", tell);
    cell.frame.addEventListener("pointerdown", tell);
    cell.frame.addEventListener("pointerleave", hideReadout);
  }
}
return { makeReadout, showReadout, hideReadout, readValue, linkPointer };
})();
// core/scrolling.js
const $module13 = (() => {
// Scrolling to sections, and what covers the top of the window.

// id: of the section's heading.
function goTo(id) {
  const title = document.getElementById(id);
  title?.closest("section").scrollIntoView({ block: "start" });
  title?.focus({ preventScroll: true });
}

// Height in pixels of the bar and the column heads at the top of the window.
function coveredHeight() {
  return [".page-bar", ".sticky"].reduce((sum, name) => sum + (document.querySelector(name)?.offsetHeight ?? 0), 0);
}
return { goTo, coveredHeight };
})();
// core/cache.js
const $module14 = (() => {
// Keeps the most recently used values, up to a number of bytes.

// load(key) promises {value, bytes}. `now` returns a loaded value, or undefined.
function makeCache(budget, load) {
  const kept = new Map(); // key -> {promise, value, bytes}, least recently used first
  let total = 0;

  function trim() {
    for (const [key, entry] of kept) {
      if (total <= budget) return;
      if (entry.value === undefined) continue; // still loading
      total -= entry.bytes;
      kept.delete(key);
    }
  }

  function touch(key) {
    const entry = kept.get(key);
    if (entry) {
      kept.delete(key);
      kept.set(key, entry);
    }
    return entry;
  }

  function get(key, ...about) {
    const known = touch(key);
    if (known) return known.promise;
    const entry = { value: undefined, bytes: 0 };
    entry.promise = load(key, ...about).then(
      ({ value, bytes }) => {
        Object.assign(entry, { value, bytes });
        total += bytes;
        trim();
        return value;
      },
      (error) => {
        kept.delete(key);
        throw error;
      },
    );
    kept.set(key, entry);
    return entry.promise;
  }
  return { get, now: (key) => touch(key)?.value };
}
return { makeCache };
})();
// core/decoding.js
const $module15 = (() => {
// Numbers of maps from text: base64 of compressed float16 values, or of 256 steps between extremes.

async function decode(maps) {
  const letters = atob(maps.data);
  const packed = new Uint8Array(letters.length);
  for (let i = 0; i < packed.length; i++) packed[i] = letters.charCodeAt(i);
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  return maps.type === "f16" ? fromHalf(bytes) : fromSteps(bytes, maps);
}

let halves = null; // all float16 values by their bits

function fromHalf(bytes) {
  halves ??= Float32Array.from({ length: 65536 }, (_, bits) => half(bits));
  const values = new Float32Array(bytes.length / 2);
  for (let i = 0; i < values.length; i++) values[i] = halves[bytes[2 * i] | (bytes[2 * i + 1] << 8)];
  return values;
}

function half(bits) {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return exponent ? sign * 2 ** (exponent - 15) * (1 + fraction / 1024) : sign * 2 ** -24 * fraction;
}

function fromSteps(bytes, { shape, lo, hi }) {
  const size = shape.reduce((product, side) => product * side, 1);
  return Float32Array.from(bytes, (step, i) => {
    const probe = Math.floor(i / size);
    return lo[probe] + (step / 255) * (hi[probe] - lo[probe]);
  });
}
return { decode };
})();
// core/shards.js
const $module16 = (() => {
const { makeCache } = $module14;
const { decode } = $module15;
const { el } = $module0;
const { report } = $module3;
// Loads maps and images from scripts that are added on demand, since a page from file:// cannot fetch files. Each
// script calls cvAttentionShard(key, payload) with the maps of one column in one epoch for a block of samples.






const PER_SHARD = report.blocks ?? { maps: 64, pictures: 16 };
const arrived = new Map();

globalThis.cvAttentionShard = (key, payload) => arrived.set(key, payload);

// A page that is one file has its shards in it.
let inside = null;

function loadInside(key, hash) {
  inside ??= new Map([...document.querySelectorAll("[data-shard]")].map((block) => [block.dataset.shard, block]));
  const block = inside.get(`${key}.${hash}`);
  return block && JSON.parse(block.textContent);
}

function loadScript(key, hash) {
  const known = loadInside(key, hash);
  if (known) return Promise.resolve(known);
  return new Promise((resolve, reject) => {
    const src = `data/${key}.${hash}.js`;
    const script = el("script", { src });
    script.onload = () => {
      script.remove();
      const payload = arrived.get(key);
      arrived.delete(key);
      if (payload === undefined) reject(new Error(`${src} is empty`));
      else resolve(payload);
    };
    script.onerror = () => reject(new Error(`${src} is missing`));
    document.head.append(script);
  });
}

const mapCache = makeCache(160e6, async (key, hash) => {
  const packed = await loadScript(key, hash).catch(() => null);
  if (!packed) return { value: null, bytes: 0 }; // the folder is incomplete
  const values = await decode(packed);
  const [height, width] = packed.shape.length === 2 ? packed.shape : [1, packed.shape[0]];
  const { lo, hi } = packed;
  return { value: { values, height, width, lo, hi }, bytes: values.byteLength };
});

const plainCache = makeCache(64e6, async (key, hash, bytes) => ({
  value: await loadScript(key, hash),
  bytes,
}));

function mapKey(snapshot, column, block) {
  return `${snapshot.run.folder}/e${snapshot.epoch}-c${column.index}-${block}`;
}

function cutMap(all, probe) {
  const i = probe % PER_SHARD.maps;
  const { height, width } = all;
  const size = height * width;
  return {
    values: all.values.subarray(i * size, (i + 1) * size),
    height,
    width,
    lo: all.lo[i],
    hi: all.hi[i],
  };
}

// The recorded map of one sample: {values, height, width, lo, hi}; channel gates have height 1. Null if it was not
// logged.
async function loadRecordedMap(snapshot, column, probe) {
  const block = Math.floor(probe / PER_SHARD.maps);
  const hash = snapshot.maps[column.index]?.[block];
  const all = hash && (await mapCache.get(mapKey(snapshot, column, block), hash));
  return all ? cutMap(all, probe) : null;
}

// The same if it is already in memory, else undefined.
function recordedMapNow(snapshot, column, probe) {
  const block = Math.floor(probe / PER_SHARD.maps);
  if (!snapshot.maps[column.index]?.[block]) return null;
  const all = mapCache.now(mapKey(snapshot, column, block));
  return all && cutMap(all, probe);
}

// The classes with the highest probabilities: [[class, probability]], best first.
async function topClasses(snapshot, probe) {
  const block = Math.floor(probe / PER_SHARD.maps);
  const hash = snapshot.top[block];
  if (!hash) return [];
  const rows = await plainCache.get(`${snapshot.run.folder}/e${snapshot.epoch}-top-${block}`, hash, 8e3);
  return rows[probe % PER_SHARD.maps] ?? [];
}

// {column index: {measure: [a number or null for each sample]}}.
function loadMeasures(snapshot) {
  const key = `${snapshot.run.folder}/e${snapshot.epoch}-measures`;
  return plainCache.get(key, snapshot.measures, 2e3 * snapshot.predictions.length);
}

// Runs of one study share their images.
function pictureKey(run, block) {
  return `${run.pictureFolder ?? run.folder}/images-${block}`;
}

// The image of one sample as a data URL, or null if there is none.
async function loadPicture(run, probe) {
  const block = Math.floor(probe / PER_SHARD.pictures);
  const urls = await plainCache.get(pictureKey(run, block), run.pictures[block], 4e5);
  return urls[probe % PER_SHARD.pictures];
}

function pictureNow(run, probe) {
  const block = Math.floor(probe / PER_SHARD.pictures);
  return plainCache.now(pictureKey(run, block))?.[probe % PER_SHARD.pictures];
}
return { loadScript, plainCache, loadRecordedMap, recordedMapNow, topClasses, loadMeasures, loadPicture, pictureNow };
})();
// drawing/frames.js
const $module17 = (() => {
const { el } = $module0;
const { loadPicture, pictureNow } = $module16;
const { state, watch } = $module4;
// The picture of a sample with maps overlaid. Frames are reused for other samples while scrolling.





// Keeps what frames show without being painted again: the opacity of maps, and what the threshold hides of colour bars.
function followDisplay(root) {
  const style = () => {
    root.style.setProperty("--opacity", state.opacity);
    root.style.setProperty("--threshold", `${100 * state.threshold}%`);
    root.classList.toggle("without-boxes", !state.box);
  };
  watch(style);
  style();
}

// Frames of one run have room for its tallest image.
function tallest(run) {
  const sizes = run.probes.map((probe) => probe.size).filter(Boolean);
  return sizes.reduce((most, [width, height]) => Math.min(2, Math.max(most, height / width)), 0) || 1;
}

function makeFrame(run, room, ...over) {
  const picture = el("img", { alt: "", draggable: "false", decoding: "async" });
  const missing = el("span", { class: "missing" }, "no image");
  const box = el("span", { class: "true-box" });
  const frame = el("div", { class: "frame" }, missing, el("div", { class: "stage" }, picture, over, box));
  const slot = el("div", { class: "slot" }, frame);
  slot.style.aspectRatio = `1 / ${room}`;
  let bound = null;

  function show(url) {
    if (url) picture.src = url;
    picture.hidden = !url;
  }
  function bind(index) {
    bound = index;
    const { size, box: place } = run.probes[index];
    const [width, height] = size ?? [1, 1];
    frame.style.aspectRatio = `${width} / ${height}`;
    frame.style.width = height / width > room ? `${(100 * room * width) / height}%` : "100%";
    picture.classList.toggle("small", Math.max(width, height) <= 128);
    missing.hidden = Boolean(size);
    box.hidden = !place;
    if (place) {
      const [x0, y0, x1, y1] = place.map((share) => 100 * share);
      const sides = { left: `${x0}%`, top: `${y0}%`, width: `${x1 - x0}%`, height: `${y1 - y0}%` };
      Object.assign(box.style, sides);
    }
    const now = size ? pictureNow(run, index) : null;
    show(now);
    if (now === undefined) frame.setAttribute("aria-busy", "true");
    else frame.removeAttribute("aria-busy");
    if (now !== undefined) return;
    const arrived = (url) => {
      if (bound !== index) return;
      frame.removeAttribute("aria-busy");
      show(url);
    };
    loadPicture(run, index).then(arrived, () => arrived(null));
  }
  return { slot, frame, bind };
}

// Channel gates have no picture below them, and the same height.
function makeGateFrame(room, ...over) {
  const frame = el("div", { class: "frame gates" }, over);
  const slot = el("div", { class: "slot" }, frame);
  slot.style.aspectRatio = frame.style.aspectRatio = `1 / ${room}`;
  return { slot, frame, bind: () => {} };
}
return { followDisplay, tallest, makeFrame, makeGateFrame };
})();
// drawing/painting.js
const $module18 = (() => {
// Paints canvases a few at a time, so that scrolling stays smooth however many are waiting.

const PAINT_MS = 8; // of each frame of the screen

const waiting = new Set();
let painting = false;
const askers = []; // who wait until nothing is left to paint

// `job.paint()` is called soon, once regardless of the number of requests.
function enqueue(job) {
  waiting.add(job);
  if (painting) return;
  painting = true;
  requestAnimationFrame(paintSome);
}

function paintSome() {
  const end = performance.now() + PAINT_MS;
  for (const job of waiting) {
    waiting.delete(job);
    job.paint();
    if (performance.now() > end) break;
  }
  painting = waiting.size > 0;
  if (painting) requestAnimationFrame(paintSome);
  else for (const done of askers.splice(0)) done();
}

// Resolves when all that was enqueued is painted.
function allPainted() {
  return painting ? new Promise((done) => askers.push(done)) : Promise.resolve();
}
return { enqueue, allPainted };
})();
// core/run_names.js
const $module19 = (() => {
const { report } = $module3;
// Short names of runs, for narrow places: names of runs often begin alike, and what tells them apart comes last.



const LEAST = 4; // letters in common that are worth leaving out

// The names without what all of them begin with, up to a separator.
function withoutCommon(names) {
  if (names.length < 2) return names;
  let length = 0;
  while (names[0][length] !== undefined && names.every((name) => name[length] === names[0][length])) length++;
  const common = names[0].slice(0, length).replace(/[^-_./\s]+$/, "");
  const short = names.map((name) => name.slice(common.length));
  return common.length < LEAST || short.includes("") ? names : short;
}

let shortNames = null;

function shortRunName(run) {
  shortNames ??= withoutCommon(report.runs.map((one) => one.name));
  return shortNames[report.runs.indexOf(run)] ?? run.name;
}
return { withoutCommon, shortRunName };
})();
// core/dialog.js
const $module20 = (() => {
const { pushButton } = $module5;
const { el } = $module0;
// A modal dialog: Escape closes it, and the focus returns to where it was.




function openDialog(title, content, onsave = null) {
  const before = document.activeElement;
  const close = () => dialog.close();
  const buttons = onsave
    ? [pushButton("Cancel", close), el("button", { type: "submit", class: "primary" }, "Save")]
    : [pushButton("Close", close)];
  const form = el(
    "form",
    { method: "dialog" },
    el("h2", { id: "dialog-title" }, title),
    content,
    el("p", { class: "buttons" }, buttons),
  );
  const dialog = el("dialog", { "aria-labelledby": "dialog-title" }, form);
  form.addEventListener("submit", () => onsave?.());
  dialog.addEventListener("close", () => {
    dialog.remove();
    if (before?.isConnected) before.focus();
  });
  document.body.append(dialog);
  dialog.showModal();
}
return { openDialog };
})();
// core/class_names.js
const $module21 = (() => {
// Names of classes as the page shows them: what the reader could not see or tell apart gets the number of its class.

const UNSEEN = /[\p{Cc}\p{Cf}\p{Z}\p{Default_Ignorable_Code_Point}]/gu;
const shownNames = new WeakMap(); // run -> its names

// What is seen of a name: spaces at its ends, repeated ones and characters without a picture are not.
const seen = (name) => name.normalize("NFC").replace(/\s+/g, " ").replace(/[\p{Cc}\p{Cf}]/gu, "").trim();

function distinctNames(names) {
  const count = new Map();
  for (const name of names) count.set(seen(name), (count.get(seen(name)) ?? 0) + 1);
  return names.map((name, i) => {
    if (!name.replace(UNSEEN, "")) return `blank (class ${i})`;
    return count.get(seen(name)) > 1 ? `${name} (class ${i})` : name;
  });
}

function className(run, index) {
  if (index === null || index === undefined) return "unknown";
  if (!shownNames.has(run)) shownNames.set(run, distinctNames(run.classes));
  return shownNames.get(run)[index] ?? `class ${index}`;
}
return { distinctNames, className };
})();
// samples/names.js
const $module22 = (() => {
const { className } = $module21;
// Names of samples.



function countEach(words) {
  const counts = new Map();
  for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1);
  return counts;
}

// Unique keys of a run's samples: their names; with the class, and finally the number, for runs recorded before
// names included folders, in which several may have the same name.
function sampleKeys(run) {
  if (!run.sampleKeys) {
    const names = run.probes.map((probe, i) => probe.name ?? String(i));
    const known = countEach(names);
    const classed = names.map((name, i) =>
      known.get(name) === 1 ? name : `${className(run, run.probes[i].label)}/${name}`,
    );
    const again = countEach(classed);
    run.sampleKeys = classed.map((name, i) => (again.get(name) === 1 ? name : `${name} (${i + 1})`));
  }
  return run.sampleKeys;
}

// The name of a sample's file, or null.
function fileName(run, i) {
  return run.probes[i].name ? sampleKeys(run)[i] : null;
}

function sampleName(run, i) {
  return fileName(run, i) ?? `image ${i + 1}`;
}

// The true class of a sample; of one that may have several, all of them.
function trueClass(run, i) {
  const { label, labels } = run.probes[i];
  if (!labels) return className(run, label);
  return labels.map((one) => className(run, one)).join(", ") || "no class";
}

// The main label of a sample: its true class, or its name if that is unknown.
function sampleTitle(run, i) {
  const { label, labels } = run.probes[i];
  return label === null && !labels ? sampleName(run, i) : trueClass(run, i);
}
return { sampleKeys, fileName, sampleName, trueClass, sampleTitle };
})();
// samples/notes.js
const $module23 = (() => {
const { labelled } = $module5;
const { openDialog } = $module20;
const { el } = $module0;
const { report } = $module3;
const { change } = $module4;
const { sampleKeys, sampleName } = $module22;
// Notes and tags on samples. They are kept in the browser, for each run, until the reader saves them to a file: every
// report of a run shows the same ones, and other runs of the same name have their own.








const notes = new Map(); // "owner\nsample" -> {note, tags}; the owner is a run, or a name from a file

const ownerOf = (run) => run.identity ?? run.name;
const noteKey = (run, index) => `${ownerOf(run)}\n${sampleKeys(run)[index]}`;

function noteOf(run, index) {
  return notes.get(noteKey(run, index));
}

function notesOf(run) {
  return [...notes].filter(([key]) => key.startsWith(`${ownerOf(run)}\n`)).map(([, note]) => note);
}

function knownTags(run) {
  return [...new Set(notesOf(run).flatMap((note) => note.tags))].sort();
}

function setNote(run, index, note, tags) {
  const key = noteKey(run, index);
  const about = note || tags.length ? { note, tags } : null;
  if (about) notes.set(key, about);
  else notes.delete(key);
  keepOne(run, key, about);
}

function splitTags(text) {
  return [
    ...new Set(
      text
        .split(/[,\s]+/)
        .map((tag) => tag.replace(/^#+/, ""))
        .filter(Boolean),
    ),
  ];
}

function notesAsText() {
  const rows = [...notes].map(([key, about]) => {
    const [owner, sample] = key.split("\n");
    const run = report.runs.find((one) => ownerOf(one) === owner);
    return { run: run?.name ?? owner, sample, ...about };
  });
  return JSON.stringify({ cv_attention_notes: 1, notes: rows }, null, 1);
}

// The page's name of a note's sample: notes written before names included folders have only the file name.
function sampleOfNote(run, sample) {
  const keys = sampleKeys(run);
  if (keys.includes(sample)) return sample;
  const alike = keys.filter((key) => key.endsWith(`/${sample}`));
  return alike.length === 1 ? alike[0] : null;
}

// The key of a note of a file: of the run of this name that has the sample; notes of other runs are kept for the file.
function keyOfNote(name, sample) {
  for (const run of report.runs.filter((one) => one.name === name)) {
    const known = sampleOfNote(run, sample);
    if (known !== null) return `${ownerOf(run)}\n${known}`;
  }
  return `${name}\n${sample}`;
}

// Imports the notes of a file; throws if it is not a notes file. Its notes replace existing ones of the same sample.
function readNotes(text) {
  const content = JSON.parse(text);
  if (content?.cv_attention_notes !== 1 || !Array.isArray(content.notes))
    throw new Error("this is not a notes file");
  for (const { run, sample, note, tags } of content.notes) {
    if (typeof run !== "string" || !Array.isArray(tags)) throw new Error("a note in the file is invalid");
    notes.set(keyOfNote(run, sample), { note: String(note ?? ""), tags: tags.map(String) });
  }
  return content.notes.length;
}

const placeOf = (run) => `cv_attention.notes.${ownerOf(run)}`;

// The notes of one run that are kept in the browser: {"owner\nsample": {note, tags}}.
function keptNotes(run) {
  try {
    return JSON.parse(localStorage.getItem(placeOf(run)) ?? "{}");
  } catch {
    return {}; // nothing was stored, or it cannot be read
  }
}

// Changes one note among those that are kept now, which another tab may have changed meanwhile.
function keepOne(run, key, about) {
  const kept = keptNotes(run);
  if (about) kept[key] = about;
  else delete kept[key];
  try {
    localStorage.setItem(placeOf(run), JSON.stringify(kept));
  } catch {
    // Without storage, only the file keeps them.
  }
}

function keepAll() {
  for (const [key, about] of notes) {
    const run = report.runs.find((one) => key.startsWith(`${ownerOf(one)}\n`));
    if (run) keepOne(run, key, about);
  }
}

// Keeps all notes, such as those of a file.
function keepNotes() {
  keepAll();
  change({ notes: true });
}

function recallRun(run) {
  for (const key of [...notes.keys()]) if (key.startsWith(`${ownerOf(run)}\n`)) notes.delete(key);
  for (const [key, { note, tags }] of Object.entries(keptNotes(run)))
    notes.set(key, { note: String(note ?? ""), tags: (tags ?? []).map(String) });
}

// Earlier pages kept the notes of all runs of a report together, under their names.
function takeOverEarlier() {
  try {
    const earlier = localStorage.getItem(`cv_attention.notes.${report.runs.map((run) => run.name).join("|")}`);
    if (!earlier || report.runs.some((run) => localStorage.getItem(placeOf(run)) !== null)) return;
    readNotes(earlier);
    keepAll();
  } catch {
    // Nothing was stored, or it cannot be read.
  }
}

// Also follows what other tabs write.
function recallNotes() {
  takeOverEarlier();
  report.runs.forEach(recallRun);
  window.addEventListener("storage", (event) => {
    const run = report.runs.find((one) => placeOf(one) === event.key);
    if (!run) return;
    recallRun(run);
    change({ notes: true });
  });
}

// A dialog for the note and the tags of one sample.
function editNote(run, index) {
  const known = noteOf(run, index) ?? { note: "", tags: [] };
  const text = el("textarea", { rows: "4", name: "note" });
  const tags = el("input", { type: "text", name: "tags", placeholder: "blurred, ask-anna" });
  text.value = known.note;
  tags.value = known.tags.join(", ");
  const save = () => {
    setNote(run, index, text.value.trim(), splitTags(tags.value));
    change({ notes: true });
  };
  openDialog(`Note on ${sampleName(run, index)}`, [labelled("Note", text), labelled("Tags", tags)], save);
}
return { noteOf, notesOf, knownTags, setNote, splitTags, notesAsText, readNotes, keepNotes, recallNotes, editNote };
})();
// samples/flags.js
const $module24 = (() => {
const { limitFields, state } = $module4;
const { knownTags, noteOf } = $module23;
// Flags of samples: recorded ones, those derived from predictions, and the reader's notes, tags and selection.




const SURE = 0.9;

// Flags derived from predictions, in addition to recorded flags and the reader's tags.
const FLAGS = {
  "prediction changed": (run, snapshot, i) => {
    const before = run.epochs[run.epochs.indexOf(snapshot) - 1];
    return Boolean(before) && before.predictions[i] !== snapshot.predictions[i];
  },
  forgotten: (run, snapshot, i) => {
    if (isRight(run, snapshot, i) !== false) return false;
    return run.epochs.some((one) => one.epoch < snapshot.epoch && isRight(run, one, i));
  },
  "never right": (run, snapshot, i) => run.epochs.every((one) => isRight(run, one, i) === false),
  "confident and wrong": (run, snapshot, i) =>
    isRight(run, snapshot, i) === false && snapshot.confidence[i] >= SURE,
};

// True, false, or null if the class or the prediction is unknown.
function isRight(run, snapshot, i) {
  const { label } = run.probes[i];
  const predicted = snapshot.predictions[i];
  return label === null || predicted === null || predicted === undefined ? null : predicted === label;
}

// Flags and orders that compare an epoch with previous ones.
const OF_THE_PAST = ["prediction changed", "forgotten", "never right", "loss-change", "flips"];

function fitsRun(run, name) {
  return run.epochs.length > 1 || !OF_THE_PAST.includes(name);
}

function flagsOf(run, snapshot, i) {
  const computed = snapshot ? Object.keys(FLAGS).filter((name) => fitsRun(run, name) && FLAGS[name](run, snapshot, i)) : [];
  return [...(run.probes[i].flags ?? []), ...computed];
}

function hasFlag(run, snapshot, i, flag) {
  if (flag === "selected") return state.selected.includes(i);
  if (flag === "noted") return Boolean(noteOf(run, i));
  if (flag.startsWith("tag:")) return noteOf(run, i)?.tags.includes(flag.slice(4)) ?? false;
  if (FLAGS[flag]) return Boolean(snapshot) && FLAGS[flag](run, snapshot, i);
  return run.probes[i].flags?.includes(flag) ?? false;
}

function isFlag(run, flag) {
  if (["", "selected", "noted"].includes(flag)) return true;
  if (flag.startsWith("tag:")) return knownTags(run).includes(flag.slice(4));
  if (FLAGS[flag]) return fitsRun(run, flag);
  return run.probes.some((probe) => probe.flags?.includes(flag));
}

limitFields(["flag"], (run) => isFlag(run, state.flag));
return { FLAGS, isRight, fitsRun, flagsOf, hasFlag };
})();
// samples/twins.js
const $module25 = (() => {
const { nearestSnapshot } = $module1;
const { report } = $module3;
const { limitFields, state } = $module4;
const { isRight } = $module24;
// The same image in other runs: where it is, and what they predicted.






const sameSample = new Map(); // "run>other" -> index in the other run of each sample

// Whether two names can refer to the same file: runs may include more or fewer of its folders.
function sameFile(a, b) {
  return a === b || a.endsWith(`/${b}`) || b.endsWith(`/${a}`);
}

// The index of each sample in the other run, null if unknown: the image of the same name and class; if several
// have the same name, or the run has no names, the image at the same position.
function placesIn(run, other) {
  const fileOf = ({ name, label }) => `${label}\n${name?.split("/").pop()}`;
  const files = new Map();
  other.probes.forEach((probe, i) => {
    if (!files.has(fileOf(probe))) files.set(fileOf(probe), []);
    if (probe.name) files.get(fileOf(probe)).push(i);
  });
  return run.probes.map((probe, i) => {
    if (!probe.name) return other.probes[i]?.label === probe.label ? i : null;
    const alike = (files.get(fileOf(probe)) ?? []).filter((there) => sameFile(probe.name, other.probes[there].name));
    const exact = alike.filter((there) => other.probes[there].name === probe.name);
    const found = exact.length ? exact : alike;
    if (found.length === 1) return found[0];
    return found.includes(i) ? i : null;
  });
}

function sampleIn(run, other, index) {
  const key = `${run.folder}>${other.folder}`;
  if (!sameSample.has(key)) sameSample.set(key, placesIn(run, other));
  return sameSample.get(key)[index];
}

// Per other run that has this image: {run, number, snapshot, index}, at the epoch nearest to the chosen one.
function twinsOf(run, index) {
  return report.runs.flatMap((other, number) => {
    const place = other === run || !other.epochs.length ? null : sampleIn(run, other, index);
    return place === null ? [] : [{ run: other, number, snapshot: nearestSnapshot(other, state.epoch), index: place }];
  });
}

// How this run and another one may differ on an image: whether each is right; null if that is unknown.
const AGREEMENTS = {
  gained: { words: (other) => `right here, wrong in ${other}`, fits: (here, there) => here === true && there === false },
  lost: { words: (other) => `wrong here, right in ${other}`, fits: (here, there) => here === false && there === true },
  both: { words: (other) => `right here and in ${other}`, fits: (here, there) => here === true && there === true },
  neither: { words: (other) => `wrong here and in ${other}`, fits: (here, there) => here === false && there === false },
};

// The chosen agreement, such as "gained:1": {kind, number}.
function chosenAgreement() {
  const [kind, number] = state.agreement.split(":");
  return AGREEMENTS[kind] ? { kind, number: Number(number) } : null;
}

function agrees(run, snapshot, index, { kind, number }) {
  const twin = twinsOf(run, index).find((one) => one.number === number);
  if (!twin) return false;
  return AGREEMENTS[kind].fits(isRight(run, snapshot, index), isRight(twin.run, twin.snapshot, twin.index));
}

limitFields(["agreement"], (run) => {
  const chosen = chosenAgreement();
  return !state.agreement || Boolean(chosen && report.runs[chosen.number] && report.runs[chosen.number] !== run);
});
return { sampleIn, twinsOf, AGREEMENTS, chosenAgreement, agrees };
})();
// samples/adjacent.js
const $module26 = (() => {
const { nearestSnapshot } = $module1;
const { aText, someTexts } = $module2;
const { columnName, epochName, inWords } = $module7;
const { report } = $module3;
const { shortRunName } = $module19;
const { addField, limitFields, shownColumns, state, suggestedColumns } = $module4;
const { joined, valueRange } = $module9;
const { sampleIn } = $module25;
// Columns side by side: those of the chosen run, each followed by the same column of other epochs and other runs. The
// columns that only another run has, such as the methods of another export, come last.










addField("adjacent", someTexts()); // "epoch:3" (an index), "run:1"
addField("whose", aText("")); // one of these, if the large view shows its column; else the chosen run's

function isSame(one, other) {
  return one.title === other.title && one.kind === other.kind && one.bars === other.bars;
}

// What stands next to the columns of a run: [{whose, run, epoch, words}]; an epoch of null follows the page's.
function neighboursOf(run) {
  return state.adjacent.flatMap((whose) => {
    const [kind, text] = whose.split(":");
    const number = Number(text);
    if (kind === "epoch" && run.epochs.some(({ epoch }) => epoch === number))
      return [{ whose, run, epoch: number, words: epochName(number) }];
    const other = kind === "run" ? report.runs[number] : null;
    return other && other !== run && other.epochs.length ? [{ whose, run: other, epoch: null, words: shortRunName(other) }] : [];
  });
}

// All columns as they stand: [{whose, run, epoch, words, column}]. Those of the run itself have no words of their own.
function placesOf(run) {
  const neighbours = neighboursOf(run);
  const named = neighbours.some((one) => one.run !== run) ? shortRunName(run) : "";
  const own = { whose: "", run, epoch: null, words: named };
  const places = shownColumns(run).flatMap((column) => {
    const twins = neighbours.flatMap((one) => {
      const twin = one.run === run ? column : one.run.columns.find((other) => isSame(other, column));
      return twin ? [{ ...one, column: twin }] : [];
    });
    return [{ ...own, column }, ...twins];
  });
  const lacking = (column) => !run.columns.some((other) => isSame(other, column));
  const others = neighbours.filter((one) => one.run !== run);
  const rest = others.flatMap((one) => suggestedColumns(one.run).filter(lacking).map((column) => ({ ...one, column })));
  return [...places, ...rest];
}

function placeKey({ whose, column }) {
  return `${whose}/${column.index}`;
}

function placeTitle({ column, words }) {
  return words ? `${column.title} · ${words}` : column.title;
}

function placeName({ column, words }) {
  return inWords(columnName(column), words);
}

// The recording that a place shows.
function snapshotAt({ run, epoch, column }) {
  return nearestSnapshot(run, epoch ?? state.epoch, column);
}

// Where the sample of a run lies in the run of a place; null if it is not there.
function sampleAt(place, run, index) {
  return place.run === run ? index : sampleIn(run, place.run, index);
}

// One range for an attention map and the same one of other runs and epochs, which have the same unit; saliency maps,
// whose unit is that of their network's output, keep their own. Null where only one stands there.
function rangeOfAll(run, place, map) {
  if (!state.adjacent.length || place.column.source !== "attention" || ["image", "manual"].includes(state.scale)) return null;
  const alike = placesOf(run).filter((one) => isSame(one.column, place.column));
  if (alike.length < 2) return null;
  const ranges = alike.map((one) => {
    const snapshot = snapshotAt(one);
    return snapshot && valueRange(one.run, snapshot, one.column, map);
  });
  return joined(ranges);
}

limitFields(["whose", "large"], (run) => !state.whose || placesOf(run).some((one) => placeKey(one) === `${state.whose}/${state.large}`));
return { neighboursOf, placesOf, placeKey, placeTitle, placeName, snapshotAt, sampleAt, rangeOfAll };
})();
// drawing/bars.js
const $module27 = (() => {
const { watch } = $module4;
// Channel gates as bars, sorted from the largest to the smallest. Zero is a line; the dashed line is the
// mean.



function sortedGates(map) {
  const order = Array.from(map.values.keys()).filter((channel) => Number.isFinite(map.values[channel]));
  return order.sort((a, b) => map.values[b] - map.values[a]);
}

let barInks = null; // {bar, line, text} of the theme; asking a canvas for its style is slow
watch((values) => {
  if ("theme" in values) barInks = null;
});

function inksOfBars() {
  if (!barInks) {
    const style = getComputedStyle(document.documentElement);
    const [bar, line, text] = ["--bar", "--line-strong", "--text"].map((name) => style.getPropertyValue(name));
    barInks = { bar, line, text };
  }
  return barInks;
}

// size: width and height of the canvas on the screen; querying it for every canvas would be slow.
function paintBars(canvas, map, range, order, size) {
  const ratio = Math.min(3, window.devicePixelRatio || 1);
  const width = Math.round(Math.max(64, size.width) * ratio);
  const height = Math.round(Math.max(48, size.height) * ratio);
  canvas.width = width;
  canvas.height = height;
  if (!order.length || !range) return;
  const context = canvas.getContext("2d");
  const inks = inksOfBars();
  const low = Math.min(0, range[0]);
  const high = Math.max(range[1], low + 1e-9);
  const y = (value) => height - ((value - low) / (high - low)) * (height - 2 * ratio) - ratio;
  context.fillStyle = inks.bar;
  const step = width / order.length;
  const gap = step >= 4 * ratio ? ratio : 0;
  order.forEach((channel, place) => {
    const value = map.values[channel];
    const left = Math.floor(place * step);
    const right = Math.max(left + 1, Math.floor((place + 1) * step) - gap);
    context.fillRect(left, Math.min(y(value), y(0)), right - left, Math.max(1, Math.abs(y(value) - y(0))));
  });
  context.fillStyle = inks.line;
  context.fillRect(0, Math.min(height - ratio, y(0)), width, ratio);
  const mean = order.reduce((sum, channel) => sum + map.values[channel], 0) / order.length;
  context.strokeStyle = inks.text;
  context.lineWidth = ratio;
  context.setLineDash([3 * ratio, 3 * ratio]);
  context.beginPath();
  context.moveTo(0, y(mean));
  context.lineTo(width, y(mean));
  context.stroke();
}
return { sortedGates, paintBars };
})();
// drawing/heatmap.js
const $module28 = (() => {
// A map of numbers as pixels.

const SMOOTH_SIDE = 128; // less than a cell on the screen: drawing a canvas smaller costs more than drawing it larger

// Draws at native resolution, or smoothly enlarged: numbers are interpolated and then coloured, so that no
// colour appears that is not in the table. Values below the threshold, a fraction of the colour bar,
// stay transparent; on a signed bar these are values near zero.
function paintHeatmap(canvas, map, range, table, { smooth, threshold, contour, signed }) {
  const factor = Math.max(1, Math.ceil(SMOOTH_SIDE / Math.max(map.height, map.width)));
  let drawn = map;
  if (smooth && factor > 1) drawn = resample(map, map.height * factor, map.width * factor);
  else if (contour && factor > 1) drawn = repeat(map, factor);
  const { values, height, width } = drawn;
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
  canvas.classList.toggle("nearest", !smooth);
  const context = canvas.getContext("2d");
  const pixels = context.createImageData(width, height);
  const words = new Uint32Array(pixels.data.buffer);
  const colours = packed(table);
  const [lo, hi] = range ?? [0, 1];
  const scale = hi > lo ? 255 / (hi - lo) : 0;
  const middle = signed && !scale ? 127.5 : 0; // zero everywhere is neutral, not the lowest value
  const far = signed ? (value) => Math.abs(2 * value - 1) : (value) => value;
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    if (value - value !== 0) continue; // not a number or infinite: stays transparent
    const at = Math.min(255, Math.max(0, (value - lo) * scale + middle));
    if (threshold > 0 && far(at / 255) < threshold) continue;
    words[i] = colours[Math.round(at)];
  }
  if (contour) {
    const level = threshold > 0 ? threshold : 0.5;
    const inside = Uint8Array.from(values, (value) => far(((value - lo) * scale + middle) / 255) >= level);
    drawContour(words, inside, height, width);
  }
  context.putImageData(pixels, 0, 0);
}

const WHITE = 0xffffffff;
const BLACK = 0xff000000;

// White just inside of the level and black just outside, to be visible on every colour.
function drawContour(words, inside, height, width) {
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const i = y * width + x;
      const edge =
        (x > 0 && inside[i - 1] !== inside[i]) ||
        (x < width - 1 && inside[i + 1] !== inside[i]) ||
        (y > 0 && inside[i - width] !== inside[i]) ||
        (y < height - 1 && inside[i + width] !== inside[i]);
      if (edge) words[i] = inside[i] ? WHITE : BLACK;
    }
  }
}

const packedTables = new Map();

// The colours as 32-bit pixels (little-endian, like all machines that run browsers).
function packed(table) {
  if (!packedTables.has(table)) {
    const words = new Uint32Array(256);
    for (let i = 0; i < 256; i++)
      words[i] = BLACK | (table[3 * i + 2] << 16) | (table[3 * i + 1] << 8) | table[3 * i];
    packedTables.set(table, words);
  }
  return packedTables.get(table);
}

// Bilinear, with the centres of the cells in place (what frameworks call align_corners=False).
function resample(map, height, width) {
  if (map.height === height && map.width === width) return map;
  const rows = taps(map.height, height);
  const columns = taps(map.width, width);
  const values = new Float32Array(height * width);
  const from = map.values;
  for (let y = 0; y < height; y++) {
    const top = rows.near[y] * map.width;
    const bottom = rows.far[y] * map.width;
    const down = rows.share[y];
    for (let x = 0; x < width; x++) {
      const left = columns.near[x];
      const right = columns.far[x];
      const across = columns.share[x];
      const upper = from[top + left] + across * (from[top + right] - from[top + left]);
      const lower = from[bottom + left] + across * (from[bottom + right] - from[bottom + left]);
      values[y * width + x] = upper + down * (lower - upper);
    }
  }
  return { ...map, values, height, width };
}

function repeat(map, factor) {
  const height = map.height * factor;
  const width = map.width * factor;
  const cell = (i) => Math.floor(i / width / factor) * map.width + Math.floor((i % width) / factor);
  const values = Float32Array.from({ length: height * width }, (_, i) => map.values[cell(i)]);
  return { ...map, values, height, width };
}

const knownTaps = new Map();

// The neighbouring cells of every pixel, and its distance from the left one.
function taps(cells, pixels) {
  const key = `${cells}/${pixels}`;
  if (!knownTaps.has(key)) {
    const near = new Uint16Array(pixels);
    const far = new Uint16Array(pixels);
    const share = new Float32Array(pixels);
    for (let i = 0; i < pixels; i++) {
      const at = Math.min(cells - 1, Math.max(0, ((i + 0.5) * cells) / pixels - 0.5));
      near[i] = Math.floor(at);
      far[i] = Math.min(cells - 1, near[i] + 1);
      share[i] = at - near[i];
    }
    knownTaps.set(key, { near, far, share });
  }
  return knownTaps.get(key);
}
return { paintHeatmap, resample };
})();
// samples/classes.js
const $module29 = (() => {
const { className } = $module21;
const { makeCache } = $module14;
const { select } = $module5;
const { decode } = $module15;
const { aChoice } = $module2;
const { isolated } = $module7;
const { report } = $module3;
const { loadScript } = $module16;
const { addField, state } = $module4;
// The class switch: which class the maps explain, if maps of several classes were recorded.











addField("target", aChoice("predicted", ["predicted", "true", "second", "third", "difference"]));
const TARGETS = {
  predicted: "predicted",
  true: "true",
  second: "second most probable",
  third: "third most probable",
  difference: "predicted − true",
};

const classCache = makeCache(64e6, async (key, hash) => {
  const { classes, maps } = await loadScript(key, hash);
  const all = {};
  let bytes = 0;
  for (const [index, packed] of Object.entries(maps)) {
    const values = await decode(packed);
    const [height, width] = packed.shape;
    all[index] = { values, height, width, lo: packed.lo, hi: packed.hi };
    bytes += values.byteLength;
  }
  return { value: { classes, all }, bytes };
});

const anyClassMaps = report.runs.some((run) => Object.keys(run.panels?.classes ?? {}).length);

// Whether this column follows the switch: a saliency method that explains a class.
function followsTarget(snapshot, column) {
  return state.target !== "predicted" && column.kind === "grad_cam" && snapshot.run.panels?.classes[snapshot.epoch];
}

function classKey(snapshot) {
  return `${snapshot.run.folder}/e${snapshot.epoch}-classes`;
}

// The class explained for a sample; for a difference, the first of the two.
function targetClass(snapshot, probe, target = state.target) {
  if (target === "true") return snapshot.run.probes[probe].label;
  if (target === "predicted" || target === "difference") return snapshot.predictions[probe];
  return classCache.now(classKey(snapshot))?.classes[probe]?.[target === "second" ? 1 : 2] ?? null;
}

function mapOfClass({ classes, all }, column, probe, chosen) {
  const rows = classes[probe] ?? [];
  const place = rows.indexOf(chosen);
  const maps = all[column.index];
  if (place < 0 || !maps) return null;
  const i = probe * rows.length + place;
  const size = maps.height * maps.width;
  return { ...maps, values: maps.values.subarray(i * size, (i + 1) * size), lo: maps.lo[i], hi: maps.hi[i] };
}

function cutClassMap(snapshot, kept, column, probe) {
  const map = mapOfClass(kept, column, probe, targetClass(snapshot, probe));
  if (state.target !== "difference" || !map) return map;
  const other = mapOfClass(kept, column, probe, snapshot.run.probes[probe].label);
  if (!other) return null;
  const values = map.values.map((value, i) => value - other.values[i]);
  let most = 0;
  for (const value of values) most = Math.max(most, Math.abs(value));
  return { ...map, values, lo: -most, hi: most };
}

async function loadClassMap(snapshot, column, probe) {
  const kept = await classCache.get(classKey(snapshot), snapshot.run.panels.classes[snapshot.epoch]);
  return cutClassMap(snapshot, kept, column, probe);
}

function classMapNow(snapshot, column, probe) {
  const kept = classCache.now(classKey(snapshot));
  return kept && cutClassMap(snapshot, kept, column, probe);
}

// A column as modified by the switch: a difference of two classes is signed.
function asShown(column) {
  const signed = state.target === "difference" && column.kind === "grad_cam" && anyClassMaps;
  return signed ? { ...column, signed: true } : column;
}

// "for cat", "cat − dog": what a map explains, unless it is the predicted class everywhere.
function targetWords(snapshot, column, probe) {
  if (!snapshot || state.target === "predicted" || !anyClassMaps) return "";
  const run = snapshot.run;
  if (column.source !== "saliency") return "any class";
  if (!followsTarget(snapshot, column)) return `for ${isolated(className(run, snapshot.predictions[probe]))}`;
  const explained = targetClass(snapshot, probe);
  const name = isolated(className(run, explained));
  if (state.target !== "difference") return `for ${name}`;
  const { label } = run.probes[probe];
  return label === explained ? "same class" : `${name} − ${isolated(className(run, label))}`;
}

function makeClassSwitch() {
  return anyClassMaps && select("target", "Explained class (Grad-CAM)", TARGETS);
}
return { followsTarget, loadClassMap, classMapNow, asShown, targetWords, makeClassSwitch };
})();
// drawing/layers.js
const $module30 = (() => {
const { state } = $module4;
const { tableOf } = $module8;
const { uniformOf, valueRange, weightsRange } = $module9;
// What is painted of a map: {map, range, table, signed, uniform}.





function layerOf(run, snapshot, column, map) {
  return {
    map,
    range: valueRange(run, snapshot, column, map),
    table: tableOf(column),
    signed: column.signed,
    uniform: column.weights ? uniformOf(map) : null,
  };
}

// Weights that stand side by side, such as those of all heads, at one scale; `all`: those of every image.
function weightLayers(maps, all) {
  const range = maps.length ? weightsRange(maps, all) : null;
  return maps.map((map) => ({ map, range, table: state.colours, signed: false, uniform: uniformOf(map) }));
}
return { layerOf, weightLayers };
})();
// samples/comparison.js
const $module31 = (() => {
const { nearestSnapshot } = $module1;
const { formatValue } = $module7;
const { report } = $module3;
const { state } = $module4;
const { resample } = $module28;
const { layerOf } = $module30;
const { limitsByHand } = $module9;
const { asShown } = $module29;
const { sampleIn } = $module25;
// Finds the map that a map is compared with: in another epoch, another column, or another run.
// state.versus is "epoch:3", "column:5" or "run:1"; A is the map of the cell, B the other one.











function versus() {
  const [kind, text] = state.versus.split(":");
  const number = Number(text);
  return ["epoch", "column", "run"].includes(kind) && Number.isInteger(number) ? { kind, number } : null;
}

// Where the other map is: {snapshot, column, index}, or null.
function partnerOf(run, snapshot, column, index) {
  const chosen = versus();
  if (!chosen || !snapshot) return null;
  if (chosen.kind === "epoch") {
    const then = nearestSnapshot(run, chosen.number, column);
    return then && { snapshot: then, column, index };
  }
  if (chosen.kind === "column") {
    const other = run.columns[chosen.number];
    if (!other || other.bars !== column.bars) return null;
    const there = nearestSnapshot(run, state.epoch, other);
    return there && { snapshot: there, column: other, index };
  }
  const other = report.runs[chosen.number];
  const twin = twinOf(column, other?.columns ?? []);
  const place = twin ? sampleIn(run, other, index) : null;
  const there = place === null ? null : nearestSnapshot(other, state.epoch, twin);
  return there && { snapshot: there, column: twin, index: place };
}

// The same column of another run; for a saliency method that it lacks, its first other one.
function twinOf(column, columns) {
  const alike = columns.filter((one) => one.bars === column.bars);
  const same = alike.find((one) => one.title === column.title && one.kind === column.kind);
  if (same || column.source !== "saliency") return same;
  return alike.find((one) => one.source === "saliency");
}

// Why a map is not compared while others are.
function aloneWords() {
  const chosen = versus();
  if (!chosen) return "";
  return chosen.kind === "run" ? "not in B" : "not comparable";
}

// The layers to paint, and for the readout the maps that they come from; `words` describe how the two differ, and
// `badge` what is not visible.
function comparison(run, snapshot, plainColumn, map, partner, other) {
  const column = asShown(plainColumn);
  const plain = layerOf(run, snapshot, column, map);
  if (!partner || !other || (column.bars && other.width !== map.width)) {
    const words = aloneWords();
    return { map, under: plain, words, badge: words };
  }
  if (state.compare === "difference") return { map, other, ...differenceLayer(column, partner, map, other) };
  const there = layerOf(partner.snapshot.run, partner.snapshot, partner.column, other);
  const alike = partner.column.title === column.title && ["image", "natural"].includes(state.scale);
  const both = alike && plain.range && there.range ? unionOf(plain.range, there.range) : null;
  return { map, other, under: { ...plain, range: both ?? plain.range }, over: { ...there, range: both ?? there.range } };
}

// Two maps of the same kind share a colour bar, so that they can be compared by eye.
function unionOf(a, b) {
  return [Math.min(a[0], b[0]), Math.max(a[1], b[1])];
}

// Whether two maps with a colour bar each lie over each other.
function twoBars() {
  return Boolean(versus()) && state.compare !== "difference";
}

const NO_DIFFERENCE = "no difference";

// A minus B. Maps of different columns have different units: each is scaled to its own range first.
function differenceLayer(column, partner, map, other) {
  const scaled = partner.column.title !== column.title;
  const height = Math.max(map.height, other.height);
  const width = Math.max(map.width, other.width);
  const [a, b] = [map, other].map((one) => resample(scaled ? toShares(one) : one, height, width));
  const values = a.values.map((value, i) => value - b.values[i]);
  let most = 0;
  for (const value of values) if (Math.abs(value) > most) most = Math.abs(value);
  const difference = { values, height, width, lo: -most, hi: most };
  return {
    difference,
    badge: most > 0 ? "" : NO_DIFFERENCE,
    scaled,
    under: { map: difference, range: state.scale === "manual" ? limitsByHand(true) : [-most, most], table: state.signed, signed: true },
    words: most > 0 ? `differences up to ${formatValue(most)}` : NO_DIFFERENCE,
  };
}

function toShares(map) {
  const span = map.hi - map.lo || 1;
  return { ...map, values: map.values.map((value) => (value - map.lo) / span) };
}
return { versus, partnerOf, comparison, twoBars };
})();
// samples/maps.js
const $module32 = (() => {
const { loadRecordedMap, recordedMapNow } = $module16;
const { classMapNow, followsTarget, loadClassMap } = $module29;
// The map of one sample as the page shows it: of the class that the switch selects, or as recorded.




async function loadMap(snapshot, column, probe) {
  const load = followsTarget(snapshot, column) ? loadClassMap : loadRecordedMap;
  return load(snapshot, column, probe);
}

// The same if it is already in memory, else undefined.
function mapNow(snapshot, column, probe) {
  const now = followsTarget(snapshot, column) ? classMapNow : recordedMapNow;
  return now(snapshot, column, probe);
}
return { loadMap, mapNow };
})();
// samples/cells.js
const $module33 = (() => {
const { breakable, el } = $module0;
const { nearestSnapshot } = $module1;
const { columnName, epochName, formatValue } = $module7;
const { change, state } = $module4;
const { paintBars, sortedGates } = $module27;
const { colourTable } = $module8;
const { makeFrame, makeGateFrame } = $module17;
const { paintHeatmap } = $module28;
const { makeColourBar, makeGateBar } = $module10;
const { enqueue } = $module18;
const { readValue } = $module12;
const { isNearlyConstant } = $module9;
const { placeName, placeTitle, rangeOfAll, sampleAt, snapshotAt } = $module26;
const { asShown, targetWords } = $module29;
const { comparison, partnerOf, twoBars } = $module31;
const { loadMap, mapNow } = $module32;
// One map of one sample: canvas over the picture, colour bar with the values at its ends. While maps are
// compared a second canvas lies over the first.


















const NO_VALUE = "All values are infinite or not a number.";
const CONSTANT = "The values hardly differ: stretched over all colours, the map would show noise.";

// home: the run whose samples are listed; place: whose map is shown, see `placesOf`.
function makeCell(home, place, room) {
  const { run, column } = place;
  const first = el("canvas", { role: "img", class: "map a" });
  const second = el("canvas", { class: "map b", hidden: true, "aria-hidden": "true" });
  const {
    slot,
    frame,
    bind: bindFrame,
  } = column.bars ? makeGateFrame(room, first, second) : makeFrame(run, room, first, second);
  const elsewhere = el("span", { class: "elsewhere", hidden: true });
  const target = el("span", { class: "elsewhere target", hidden: true });
  const compared = el("span", { class: "compared", hidden: true });
  const flat = el("span", { class: "flat", hidden: true });
  frame.append(elsewhere, target, compared, flat);
  const make = column.bars ? makeGateBar : makeColourBar;
  const [bar, barOfA, barOfB] = [make(), make("A"), make("B")];
  const name = el("span", { class: "cell-name", title: placeTitle(place) }, breakable(columnName(column)));
  const whose = place.words && el("bdi", { class: "cell-whose" }, place.words);
  const caption = el("figcaption", {}, name, whose, bar.element, barOfA.element, barOfB.element);
  const element = el("figure", { class: "cell", "data-column": column.index, "data-whose": place.whose }, slot, caption);
  const cell = { element, frame, bars: column.bars, bind, paint, read, tellBars, size: { width: 0, height: 0 } };
  let index = null; // of the sample, at home
  let there = null; // the same in the run of the map
  let shown = null; // {map, other, range, order}

  frame.addEventListener("click", () => {
    const swiping = twoBars() && state.compare === "swipe"; // there, a press moves the line
    if (index !== null && !swiping) change({ sample: index, large: column.index, whose: place.whose });
  });

  function bind(next) {
    index = next;
    there = next === null ? null : sampleAt(place, home, next);
    shown = null;
    first.hidden = second.hidden = true;
    tellBars();
    element.classList.toggle("nowhere", there === null);
    if (there !== null) bindFrame(there);
  }

  function paint() {
    if (index === null) return;
    const bound = index;
    const snapshot = there === null ? null : snapshotAt(place);
    const partner = place.whose ? null : partnerOf(run, snapshot, column, there);
    const here = [snapshot && { snapshot, column, index: there }, partner].filter(Boolean);
    if (here.some((one) => mapNow(one.snapshot, one.column, one.index) === undefined)) {
      element.setAttribute("aria-busy", "true");
      const loads = here.map((one) => loadMap(one.snapshot, one.column, one.index));
      Promise.all(loads).then(() => bound === index && enqueue(cell));
      return;
    }
    element.removeAttribute("aria-busy");
    const [map, other] = here.map((one) => mapNow(one.snapshot, one.column, one.index));
    draw(snapshot, map ?? null, partner, other ?? null);
  }

  function draw(snapshot, map, partner, other) {
    element.classList.toggle("absent", !map);
    first.hidden = !map;
    shown = map && comparison(run, snapshot, column, map, partner, other);
    if (shown && place.whose) Object.assign(shown, { badge: "", words: "" });
    const range = shown && !shown.difference && !shown.over ? rangeOfAll(home, place, map) : null;
    if (range) shown.under = { ...shown.under, range };
    if (shown && column.bars) shown.order = sortedGates(map);
    second.hidden = !shown?.over;
    const explained = map ? targetWords(snapshot, column, there) : "";
    target.hidden = !explained;
    target.textContent = explained;
    compared.textContent = shown?.badge ?? "";
    compared.hidden = !compared.textContent;
    const label = map ? `values ${formatValue(map.lo)} to ${formatValue(map.hi)}` : "not logged";
    const named = `${placeName(place)} ${explained}, image ${index + 1}: ${label}`.replace(" ,", ",");
    first.setAttribute("aria-label", shown?.words ? `${named}; ${shown.words}` : named);
    const usual = nearestSnapshot(home, state.epoch);
    elsewhere.hidden = !snapshot || snapshot.run.export || snapshot.epoch === usual?.epoch;
    if (snapshot) elsewhere.textContent = epochName(snapshot.epoch);
    const empty = map?.lo === null; // without a finite value nothing is drawn
    flat.hidden = !map || Boolean(shown.difference) || !(empty || isNearlyConstant(run, asShown(column), map));
    flat.textContent = empty ? "no finite value" : "nearly constant";
    flat.title = empty ? NO_VALUE : CONSTANT;
    if (shown) {
      paintLayer(first, shown.under, cell, shown.order);
      if (shown.over) paintLayer(second, shown.over, cell, shown.order);
    }
    tellBars();
  }

  // Two maps that share a frame have a bar each; rows keep their height where only some of them are compared.
  function tellBars() {
    const two = Boolean(shown?.over);
    bar.element.hidden = two;
    barOfA.element.hidden = !two;
    barOfB.element.hidden = !twoBars();
    barOfB.element.classList.toggle("unused", !two);
    if (two) barOfA.tell(shown.under);
    if (two) barOfB.tell(shown.over);
    else barOfB.clear();
    if (shown) bar.tell(shown.under);
    else bar.clear();
  }
  function read(event) {
    return shown && readValue(frame.getBoundingClientRect(), event, column, shown);
  }
  return cell;
}

// A layer: {map, range, table, signed}.
function paintLayer(canvas, { map, range, table, signed }, cell, order) {
  if (cell.bars) {
    paintBars(canvas, map, range, order, cell.size);
    return;
  }
  const { smooth, threshold, contour } = state;
  paintHeatmap(canvas, map, range, colourTable(table), { smooth, threshold, contour, signed });
}
return { makeCell };
})();
// samples/history.js
const $module34 = (() => {
const { className } = $module21;
const { svg } = $module0;
const { epochName, formatPercent, isolated } = $module7;
const { change } = $module4;
// The predictions for one image by epoch: a bar for the probability of the true class,
// coloured by whether the prediction was right. Click a bar to select its epoch.






function historyWords(run, snapshot, probe) {
  const predicted = isolated(className(run, snapshot.predictions[probe]));
  return `${epochName(snapshot.epoch)}: ${predicted}, true class ${formatPercent(snapshot.true[probe])}`;
}

function makeHistory(run) {
  const width = 100 / run.epochs.length;
  let probe = 0;
  const bars = run.epochs.map((snapshot, i) => {
    const left = i * width + width * 0.12;
    const title = svg("title");
    const bar = svg("rect", { x: left, width: width * 0.76 });
    const element = svg(
      "g",
      { class: "history-epoch", onclick: () => change({ epoch: snapshot.epoch }) },
      title,
      svg("rect", { class: "back", x: i * width, y: 0, width, height: 28 }),
      bar,
      svg("rect", { class: "now", x: left, y: 25.5, width: width * 0.76, height: 2.5 }),
    );
    element.addEventListener("pointerenter", () => (title.textContent = historyWords(run, snapshot, probe)));
    return { snapshot, element, bar };
  });
  const element = svg(
    "svg",
    {
      class: "history",
      viewBox: "0 0 100 28",
      preserveAspectRatio: "none",
      role: "img",
      "aria-label": `Probability of the true class over ${run.epochs.length} recorded epochs`,
    },
    bars.map((bar) => bar.element),
  );
  return {
    element,
    bind(index) {
      probe = index;
      const { label } = run.probes[index];
      element.classList.toggle("unknown", label === null);
      for (const { snapshot, bar } of bars) {
        const right = snapshot.predictions[index] === label;
        const height = Math.max(2, 22 * (snapshot.true[index] ?? (right ? 1 : 0.15)));
        bar.setAttribute("class", right ? "right" : "wrong");
        bar.setAttribute("y", 24 - height);
        bar.setAttribute("height", height);
      }
    },
    mark(epoch) {
      for (const { snapshot, element: bar } of bars) bar.classList.toggle("chosen", snapshot.epoch === epoch);
    },
  };
}
return { makeHistory };
})();
// samples/verdict.js
const $module35 = (() => {
const { className } = $module21;
const { el } = $module0;
const { formatPercent } = $module7;
const { shortRunName } = $module19;
// The prediction for one image at the current epoch, with the most probable classes.






const TOP_SHOWN = 3;

// Of an image that may have several classes: those that were found, missed and wrongly added.
function tellSeveral(element, run, labels, decided) {
  const chip = (index, mark, words) =>
    el(
      "span",
      { class: `label-chip ${words}` },
      mark && el("span", { class: "mark", role: "img", "aria-label": words }, mark),
      className(run, index),
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

function tellVerdict(element, run, snapshot, index) {
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
function tellTwins(list, twins) {
  const rows = twins.slice(0, RUNS_SHOWN).map(({ run, snapshot, index }) => {
    const verdict = el("p", {});
    tellVerdict(verdict, run, snapshot, index);
    return el("li", { title: run.name }, el("bdi", { class: "twin-name" }, shortRunName(run)), verdict);
  });
  const rest = twins.length - RUNS_SHOWN;
  if (rest > 0) rows.push(el("li", { class: "muted" }, `and ${rest} more run${rest === 1 ? "" : "s"}`));
  list.replaceChildren(...rows);
}

function twinLines(runs) {
  return Math.min(runs - 1, RUNS_SHOWN + 1);
}

function drawTop(list, run, best, { label, labels }) {
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
return { tellVerdict, tellTwins, twinLines, drawTop };
})();
// samples/rows.js
const $module36 = (() => {
const { el } = $module0;
const { nearestSnapshot } = $module1;
const { report } = $module3;
const { topClasses } = $module16;
const { change, currentRun, state } = $module4;
const { makeFrame } = $module17;
const { enqueue } = $module18;
const { linkPointer } = $module12;
const { placesOf } = $module26;
const { makeCell } = $module33;
const { flagsOf } = $module24;
const { makeHistory } = $module34;
const { fileName, sampleName, sampleTitle } = $module22;
const { editNote, noteOf } = $module23;
const { twinsOf } = $module25;
const { drawTop, tellTwins, tellVerdict, twinLines } = $module35;
// One sample in the list: its picture with label and prediction, then its maps side by side. A row is reused
// for another sample when it scrolls out of view.


















function makeSampleHead(run, room) {
  const picture = makeFrame(run, room);
  const parts = {
    picture,
    box: el("input", { type: "checkbox", class: "pick" }),
    number: el("span", { class: "number muted" }),
    file: el("bdi"),
    note: el("button", { type: "button", class: "note-button" }, "✎"),
    label: el("h3", { dir: "auto" }),
    verdict: el("p", { class: "verdict" }),
    top: el("ol", { class: "top-classes", hidden: !run.epochs.some((one) => one.top.length) }),
    twins: report.runs.length > 1 ? el("ul", { class: "twins", "aria-label": "Other runs" }) : null,
    past: run.epochs.length > 1 ? makeHistory(run) : null,
    flags: el("p", { class: "flags" }),
  };
  if (parts.twins) parts.twins.style.height = `${19 * twinLines(report.runs.length)}px`;
  const line = el(
    "div",
    { class: "sample-line" },
    el("label", { class: "pick-label" }, parts.box, parts.number),
    el("span", { class: "file" }, parts.file),
    parts.note,
  );
  const about = el(
    "div",
    { class: "about" },
    line,
    parts.label,
    parts.verdict,
    parts.top,
    parts.twins,
    parts.past?.element,
  );
  const shown = el("div", { class: "shown-picture" }, picture.slot, parts.flags);
  return { ...parts, element: el("div", { class: "sample" }, shown, about) };
}

// Adds a sample to the reader's selection, or removes it.
function pickSample(index, wanted) {
  const rest = state.selected.filter((other) => other !== index);
  change({ selected: wanted ? [...rest, index].sort((a, b) => a - b) : rest });
}

// Opens the large view of a sample, with the first of the maps that are shown.
function openLarge(index) {
  const [first] = placesOf(currentRun());
  change({ sample: index, large: first?.column.index ?? null, whose: first?.whose ?? "" });
}

function makeRow(run, places, room) {
  const head = makeSampleHead(run, room);
  const cells = places.map((place) => makeCell(run, place, room));
  const maps = el(
    "div",
    { class: "cells" },
    cells.map((cell) => cell.element),
  );
  const element = el("div", { class: "probe", role: "listitem", tabindex: "-1" }, head.element, maps);
  linkPointer(element, head.picture.frame, cells);
  const row = { element, cells, index: null, position: null, bind, release, draw, tell };
  head.box.addEventListener("change", () => pickSample(row.index, head.box.checked));
  head.note.addEventListener("click", () => editNote(run, row.index));
  head.picture.slot.addEventListener("click", () => openLarge(row.index));

  function bind(index, position, count) {
    row.position = position;
    element.setAttribute("aria-posinset", position + 1);
    element.setAttribute("aria-setsize", count);
    element.hidden = false;
    element.dataset.sample = index;
    if (row.index === index) return;
    row.index = index;
    head.picture.bind(index);
    for (const cell of cells) cell.bind(index);
    head.number.textContent = String(index + 1);
    const known = fileName(run, index);
    head.file.textContent = known ?? "";
    head.file.title = known ?? "";
    head.label.textContent = sampleTitle(run, index);
    head.label.title = head.label.textContent;
    head.box.setAttribute("aria-label", `Select ${sampleName(run, index)}`);
    element.setAttribute("aria-label", `Image ${index + 1}, ${sampleTitle(run, index)}`);
    head.top.replaceChildren();
    head.past?.bind(index);
  }

  // Hidden, to be reused.
  function release() {
    element.hidden = true;
    delete element.dataset.sample;
    element.removeAttribute("aria-current");
  }

  // The parts that need no map: texts and marks.
  function tell() {
    const { index } = row;
    const snapshot = nearestSnapshot(run, state.epoch);
    const note = noteOf(run, index);
    tellVerdict(head.verdict, run, snapshot, index);
    if (head.twins) tellTwins(head.twins, twinsOf(run, index));
    head.past?.mark(snapshot?.epoch);
    head.box.checked = state.selected.includes(index);
    element.setAttribute("aria-current", String(state.sample === index));
    element.classList.toggle("current", state.sample === index);
    head.note.setAttribute("aria-label", `${note ? "Edit the" : "Add a"} note on ${sampleName(run, index)}`);
    head.note.classList.toggle("has-note", Boolean(note));
    head.note.title = note ? [note.note, ...note.tags.map((tag) => `#${tag}`)].join(" ") : "Add a note";
    const marks = [...(note?.tags ?? []).map((tag) => `#${tag}`), ...flagsOf(run, snapshot, index)];
    head.flags.textContent = marks.join(" · ");
    head.flags.title = head.flags.textContent;
  }

  function draw() {
    tell();
    const { index } = row;
    const snapshot = nearestSnapshot(run, state.epoch);
    for (const cell of cells) enqueue(cell);
    if (!snapshot) return;
    topClasses(snapshot, index).then(
      (best) => row.index === index && drawTop(head.top, run, best, run.probes[index]),
      () => {},
    );
  }
  return row;
}
return { pickSample, openLarge, makeRow };
})();
// samples/expressions.js
const $module37 = (() => {
// Conditions that readers type, such as "confidence > 0.9 and not right and [Grad-CAM: sparseness] < 0.5". They are parsed
// here, since the page's policy evaluates no text. The signs of pandas, FiftyOne and JavaScript mean the same: && | ! ~.

const TOKEN = /\s*(?:(\d+\.?\d*(?:e[+-]?\d+)?|\.\d+)(%?)|\[([^\]]*)\]|"([^"]*)"|'([^']*)'|([A-Za-z_][\w.]*)|(<=|>=|!=|<>|===?|&&?|\|\|?|[-+*/()<>=!~])|(\S))/gy;
const SAME_SIGN = { "==": "=", "===": "=", "<>": "!=", "&": "and", "&&": "and", "|": "or", "||": "or", "!": "not", "~": "not" };
const LITERALS = { true: true, false: false };

function tokens(text) {
  const found = [];
  for (const [, number, percent, bracketed, double, single, word, sign, other] of text.matchAll(TOKEN)) {
    const quoted = double ?? single;
    if (other !== undefined) throw new Error(`"${other}" has no meaning here`);
    if (number !== undefined) found.push({ kind: "value", value: Number(number) / (percent ? 100 : 1) });
    else if (quoted !== undefined) found.push({ kind: "value", value: quoted });
    else if (bracketed !== undefined) found.push({ kind: "name", name: bracketed.trim() });
    else if (/^(and|or|not)$/i.test(word)) found.push({ kind: "sign", sign: word.toLowerCase() });
    else if (/^(true|false)$/i.test(word)) found.push({ kind: "value", value: LITERALS[word.toLowerCase()] });
    else if (word !== undefined) found.push({ kind: "name", name: word });
    else found.push({ kind: "sign", sign: SAME_SIGN[sign] ?? sign });
  }
  return found;
}

const unknown = (value) => value === null || value === undefined;

// A class that is called "7" equals the number 7.
const number = (value) => (typeof value === "string" && !value.trim() ? NaN : Number(value));
const equal = (a, b) => a === b || (typeof a !== typeof b && number(a) === number(b));
const COMPARED = {
  "<": (a, b) => a < b,
  "<=": (a, b) => a <= b,
  ">": (a, b) => a > b,
  ">=": (a, b) => a >= b,
  "=": equal,
  "!=": (a, b) => !equal(a, b),
};
const CALCULATED = { "+": (a, b) => a + b, "-": (a, b) => a - b, "*": (a, b) => a * b, "/": (a, b) => a / b };

// A comparison or sum with an unknown value is unknown.
function apply(calculate, left, right) {
  return (sample) => {
    const [a, b] = [left(sample), right(sample)];
    return unknown(a) || unknown(b) ? null : calculate(a, b);
  };
}

// Parses a condition. `resolve(name)` returns a function of a sample, or undefined for an unknown name, for which
// `suggest(name)` returns what may have been meant, or nothing.
// Returns that function of a sample; an unknown result counts as not fulfilled. Throws an error with a sentence.
function parseCondition(text, resolve, suggest = () => "") {
  const all = tokens(text);
  let at = 0;
  const sign = () => (all[at]?.kind === "sign" ? all[at].sign : null);
  const take = (...signs) => (signs.includes(sign()) ? all[at++].sign : null);

  function binary(inner, table) {
    let left = inner();
    for (let op = take(...Object.keys(table)); op; op = take(...Object.keys(table))) left = apply(table[op], left, inner());
    return left;
  }
  const pick = (table, ...signs) => Object.fromEntries(signs.map((one) => [one, table[one]]));
  const product = () => binary(factor, pick(CALCULATED, "*", "/"));
  const sum = () => binary(product, pick(CALCULATED, "+", "-"));

  function relation() {
    const left = sum();
    const op = take(...Object.keys(COMPARED));
    return op ? apply(COMPARED[op], left, sum()) : left;
  }
  function negation() {
    if (!take("not")) return relation();
    const inner = negation();
    return (sample) => (unknown(inner(sample)) ? null : !inner(sample));
  }
  function conjunction() {
    const parts = [negation()];
    while (take("and")) parts.push(negation());
    return parts.length === 1 ? parts[0] : (sample) => parts.every((part) => part(sample));
  }
  function condition() {
    const parts = [conjunction()];
    while (take("or")) parts.push(conjunction());
    return parts.length === 1 ? parts[0] : (sample) => parts.some((part) => part(sample));
  }
  function factor() {
    if (take("(")) {
      const inner = condition();
      if (!take(")")) throw new Error("a bracket is not closed");
      return inner;
    }
    if (take("-")) return apply((a, b) => a * b, () => -1, factor());
    const token = all[at++];
    if (!token) throw new Error("the condition ends too early");
    if (token.kind === "sign") throw new Error(`"${token.sign}" has no meaning here`);
    if (token.kind === "value") return () => token.value;
    const known = resolve(token.name);
    if (!known) {
      const meant = suggest(token.name);
      throw new Error(`there is no "${token.name}"${meant ? `; did you mean ${meant}?` : ""}`);
    }
    return known;
  }
  const parsed = condition();
  if (at < all.length) throw new Error(`"${all[at].sign ?? all[at].name ?? all[at].value}" has no meaning here`);
  return (sample) => parsed(sample) === true;
}
return { parseCondition };
})();
// samples/sorting.js
const $module38 = (() => {
const { nearestSnapshot } = $module1;
const { loadMeasures } = $module16;
const { change, limitFields, state } = $module4;
const { fitsRun } = $module24;
// The values that samples are sorted by.






// One value per sample, null if unknown.
const SORTS = {
  loss: { text: "loss", values: (run, snapshot) => snapshot.losses },
  "loss-change": {
    text: "change of the loss since the previous logged epoch",
    values: (run, snapshot) => {
      const before = run.epochs[run.epochs.indexOf(snapshot) - 1];
      return snapshot.losses.map((loss, i) => {
        const earlier = before?.losses[i] ?? null;
        return loss === null || earlier === null ? null : loss - earlier;
      });
    },
  },
  confidence: { text: "confidence", values: (run, snapshot) => snapshot.confidence },
  true: { text: "probability of the true class", values: (run, snapshot) => snapshot.true },
  flips: {
    text: "how often the prediction changed",
    values: (run) =>
      run.probes.map(
        (_, i) =>
          run.epochs.filter((one, e) => e && one.predictions[i] !== run.epochs[e - 1].predictions[i]).length,
      ),
  },
  label: { text: "true class", values: (run) => run.probes.map((probe) => probe.label) },
};

// Whether the run has what an order needs: several epochs, and values that were recorded.
function hasSort(run, name) {
  if (!sortsOf.has(run)) sortsOf.set(run, new Set(Object.keys(SORTS).filter((one) => canSort(run, one))));
  return sortsOf.get(run).has(name);
}

const sortsOf = new WeakMap(); // run -> the orders that it has values for, found once

function canSort(run, name) {
  if (!fitsRun(run, name)) return false;
  return run.epochs.some((snapshot) => SORTS[name].values(run, snapshot).some((value) => Number.isFinite(value)));
}

function isSort(run, name) {
  if (["", "name"].includes(name)) return true;
  if (Object.hasOwn(SORTS, name)) return hasSort(run, name);
  return /^\d+:./.test(name) && Boolean(run.columns[Number(name.split(":")[0])]);
}

const measuresHere = new WeakMap(); // snapshot -> its measures, once loaded

// The measures of the maps in one epoch; undefined while loading, after which `change` is called.
function measuresNow(snapshot) {
  if (!measuresHere.has(snapshot)) {
    measuresHere.set(snapshot, undefined);
    loadMeasures(snapshot)
      .catch(() => ({}))
      .then((measures) => {
        measuresHere.set(snapshot, measures);
        change({ measures: true });
      });
  }
  return measuresHere.get(snapshot);
}

// The sort value of every sample; null for the recorded order.
function sortValues(run, snapshot) {
  if (!state.sort || !snapshot) return null;
  if (state.sort === "name") return null;
  if (SORTS[state.sort]) return SORTS[state.sort].values(run, snapshot);
  const [column, ...name] = state.sort.split(":");
  const about = run.columns[Number(column)];
  const nearest = about && nearestSnapshot(run, state.epoch, about);
  return (nearest && measuresNow(nearest)?.[column]?.[name.join(":")]) ?? null;
}

limitFields(["sort", "down"], (run) => isSort(run, state.sort));
return { SORTS, hasSort, measuresHere, measuresNow, sortValues };
})();
// samples/conditions.js
const $module39 = (() => {
const { className } = $module21;
const { nearestSnapshot } = $module1;
const { columnName } = $module7;
const { report } = $module3;
const { shownColumns, state } = $module4;
const { parseCondition } = $module37;
const { isRight } = $module24;
const { noteOf } = $module23;
const { sampleName } = $module22;
const { measuresNow } = $module38;
const { sampleIn } = $module25;
// The reader's own condition on samples: the quantities that it may name, and whether it can be read.













// Name -> function of a run, its epoch and a sample.
const QUANTITIES = {
  confidence: (run, snapshot, i) => snapshot.confidence[i],
  loss: (run, snapshot, i) => snapshot.losses[i],
  p_true: (run, snapshot, i) => snapshot.true[i],
  right: (run, snapshot, i) => isRight(run, snapshot, i),
  label: (run, snapshot, i) => (run.probes[i].label === null ? null : className(run, run.probes[i].label)),
  predicted: (run, snapshot, i) => className(run, snapshot.predictions[i]),
  number: (run, snapshot, i) => i + 1,
  name: (run, snapshot, i) => sampleName(run, i),
  tagged: (run, snapshot, i) => Boolean(noteOf(run, i)?.tags.length),
};

// The measures of the maps at this epoch: "Grad-CAM: sparseness" -> its values, or undefined while they are loaded.
function measureValues(run, name) {
  const [title, measure] = name.split(/:\s*(?=[^:]*$)/);
  const column = measure && run.columns.find((one) => [one.title, columnName(one)].includes(title.trim()));
  const snapshot = column && nearestSnapshot(run, state.epoch, column);
  if (!snapshot) return null;
  const measures = measuresNow(snapshot);
  return measures && (measures[column.index]?.[measure.trim()] ?? null);
}

// "other run: loss" for the same image there.
function inOtherRun(run, name) {
  const other = report.runs.find((one) => one !== run && name.startsWith(`${one.name}:`));
  const quantity = other && QUANTITIES[name.slice(other.name.length + 1).trim()];
  const snapshot = other && nearestSnapshot(other, state.epoch);
  if (!quantity || !snapshot) return undefined;
  return (i) => {
    const place = sampleIn(run, other, i);
    return place === null ? null : quantity(other, snapshot, place);
  };
}

function resolver(run, snapshot) {
  return (name) => {
    if (Object.hasOwn(QUANTITIES, name)) return (i) => QUANTITIES[name](run, snapshot, i);
    const elsewhere = inOtherRun(run, name);
    if (elsewhere) return elsewhere;
    const values = measureValues(run, name);
    if (values === null) return undefined;
    return (i) => values?.[i] ?? null; // none while they are loaded
  };
}

// A test of samples; null without a condition or with one that cannot be read.
function conditionTest(run, snapshot) {
  if (!state.where.trim() || !snapshot) return null;
  try {
    return parseCondition(state.where, resolver(run, snapshot));
  } catch {
    return null;
  }
}

// What readers of other tools call the same.
const ELSEWHERE = {
  right: ["correct", "is_correct", "accuracy", "hit"],
  "not right": ["wrong", "incorrect", "error", "mistake", "misclassified"],
  label: ["truth", "ground_truth", "groundtruth", "target", "class", "true_class", "true_label", "labels"],
  predicted: ["prediction", "predictions", "predicted_class", "pred", "guess", "output"],
  confidence: ["probability", "prob", "p", "score", "conf", "certainty"],
  tagged: ["tag", "tags", "note"],
  name: ["file", "filename", "filepath", "path", "id", "image"],
  number: ["index", "sample"],
};

// How many letters differ, at most: added, left out or replaced.
function edits(a, b) {
  let row = [...b].map((_, j) => j + 1);
  [...a].forEach((letter, i) => {
    let [corner, left] = [i, i + 1];
    row = [...b].map((other, j) => {
      const now = Math.min(left + 1, row[j] + 1, corner + (letter === other ? 0 : 1));
      [corner, left] = [row[j], now];
      return now;
    });
  });
  return row.length ? row[row.length - 1] : a.length;
}

// The known name that is nearest to an unknown one, or "".
function nearestName(name, names) {
  const wanted = name.toLowerCase().split(".").pop();
  const other = Object.keys(ELSEWHERE).find((one) => ELSEWHERE[one].includes(wanted));
  if (other) return other;
  const off = (one) => edits(wanted, one.toLowerCase());
  const near = names.filter((one) => off(one) <= Math.max(1, wanted.length / 3)).sort((a, b) => off(a) - off(b));
  return near[0] ?? names.find((one) => wanted.length > 2 && one.toLowerCase().includes(wanted)) ?? "";
}

// Why the condition cannot be read, or nothing.
function conditionFault(run, snapshot) {
  if (!state.where.trim() || !snapshot) return "";
  try {
    parseCondition(state.where, resolver(run, snapshot), (name) => nearestName(name, conditionNames(run, snapshot)));
    return "";
  } catch (error) {
    return error.message;
  }
}

// What may be named, for the reader: of the maps, those that are shown.
function conditionNames(run, snapshot) {
  const measures = (snapshot && measuresNow(snapshot)) ?? {};
  const ofMaps = shownColumns(run).flatMap((column) =>
    Object.keys(measures[column.index] ?? {}).map((measure) => `[${columnName(column)}: ${measure}]`),
  );
  const others = report.runs.filter((one) => one !== run).slice(0, 1);
  return [...Object.keys(QUANTITIES), ...others.map((one) => `[${one.name}: loss]`), ...ofMaps];
}
return { conditionTest, nearestName, conditionFault, conditionNames };
})();
// samples/selection.js
const $module40 = (() => {
const { nearestSnapshot } = $module1;
const { state } = $module4;
const { conditionTest } = $module39;
const { hasFlag, isRight } = $module24;
const { sampleName } = $module22;
const { sortValues } = $module38;
const { agrees, chosenAgreement } = $module25;
// Which samples are listed, and in which order, by the run, the epoch and the reader's choices.









// All of these must hold.
function sampleTests(run, snapshot) {
  const tests = [];
  const words = state.search.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length) {
    tests.push((i) => {
      const { label } = run.probes[i];
      const classes = [label, snapshot?.predictions[i]].map((index) => run.classes[index] ?? "");
      const text = `${sampleName(run, i)} ${i + 1} ${classes.join(" ")}`.toLowerCase();
      return words.every((word) => text.includes(word));
    });
  }
  if (state.label !== null) tests.push((i) => run.probes[i].label === state.label);
  if (state.flag) tests.push((i) => hasFlag(run, snapshot, i, state.flag));
  if (!snapshot) return tests;
  const agreement = chosenAgreement();
  if (agreement) tests.push((i) => agrees(run, snapshot, i, agreement));
  const condition = conditionTest(run, snapshot);
  if (condition) tests.push(condition);
  if (state.show !== "all") tests.push((i) => isRight(run, snapshot, i) === (state.show === "correct"));
  if (state.predicted !== null) tests.push((i) => snapshot.predictions[i] === state.predicted);
  if (state.least > 0 || state.most < 1) {
    tests.push((i) => snapshot.confidence[i] >= state.least && snapshot.confidence[i] <= state.most);
  }
  return tests;
}

// Indices of the listed samples in order; unknown values come last in both directions.
function listSamples(run) {
  const snapshot = nearestSnapshot(run, state.epoch);
  const tests = sampleTests(run, snapshot);
  const listed = [];
  for (let i = 0; i < run.probes.length; i++) if (tests.every((test) => test(i))) listed.push(i);
  const sign = state.down ? -1 : 1;
  if (state.sort === "name") {
    const order = new Intl.Collator(undefined, { numeric: true });
    return listed.sort((a, b) => sign * order.compare(sampleName(run, a), sampleName(run, b)));
  }
  const values = sortValues(run, snapshot);
  if (!values) return listed;
  const known = (i) => values[i] !== null && values[i] !== undefined;
  return listed.sort((a, b) => {
    if (known(a) !== known(b)) return known(a) ? -1 : 1;
    return known(a) ? sign * (values[a] - values[b]) || a - b : a - b;
  });
}
return { listSamples };
})();
// samples/grid.js
const $module41 = (() => {
const { pushButton } = $module5;
const { breakable, el } = $module0;
const { columnName, kindName, usageOf } = $module7;
const { coveredHeight } = $module13;
const { change, currentRun, state, watch } = $module4;
const { followDisplay, tallest } = $module17;
const { allPainted } = $module18;
const { linkZoom } = $module11;
const { placeKey, placesOf, placeTitle, snapshotAt } = $module26;
const { makeRow } = $module36;
const { listSamples } = $module40;
// The list of samples. Only visible rows exist; they are reused as the page scrolls.













const ROWS_BEYOND = 2; // above and below the visible ones
// Choices of other sections, which the list does not follow.
const ELSEWHERE = new Set(["views", "by", "smoothing", "log", "band", "hidden", "grouped", "span", "pairs", "counted", "query", "site", "used"]);
const FIRST = 8; // samples that are listed until the reader asks for all
const MOST_PRINTED = 24; // samples on paper
const MOST_ACROSS = 6; // maps next to each other in a figure; more are below
const SHARP = 3; // pixels of a drawing for each of the screen, on paper
const LONGEST = 10e3; // ms that paper waits for files
const HASTE = 1.5; // screens per frame above which nothing is painted until scrolling slows down

const RESIZING = ["size", "versus", "compare"]; // what changes the height of rows

// How much of a block is used.
function usageMark(place) {
  const usage = usageOf(place.run, place.column, snapshotAt(place));
  const words = usage?.little ? `${usage.words}: the map means little` : usage?.words;
  return usage && el("span", { class: usage.little ? "usage little" : "usage", title: words }, usage.text);
}

function drawHeads(heads, run, places, count) {
  const [some, all] = [count, run.probes.length].map((number) => number.toLocaleString("en"));
  const of = some === all ? "" : ` of ${all}`;
  const titles = places.map((place) => {
    const { column, words } = place;
    const name = el("span", { class: "head-name" }, breakable(columnName(column)));
    return el(
      "span",
      { class: "head", title: placeTitle(place) },
      name,
      el("span", { class: "kind" }, kindName(column)),
      words && el("bdi", { class: "head-whose" }, words),
      usageMark(place),
    );
  });
  heads.replaceChildren(
    el(
      "span",
      { class: "sample-head", role: "status" },
      `${some}${of} image${run.probes.length === 1 ? "" : "s"}`,
    ),
    ...titles,
  );
}

// Why the list is empty: the numbers under Classes cover whole splits, the list only a few images.
function emptyWords(run) {
  const words = "No image matches the filters at this epoch.";
  if (state.label === null && state.predicted === null) return words;
  const count = run.probes.length;
  return `${words} Only the ${count} image${count === 1 ? "" : "s"} that were recorded can be listed; the counts under Classes are of a whole split.`;
}

// Waits until all maps and images within an element are loaded and drawn.
async function settled(place) {
  const end = performance.now() + LONGEST;
  await allPainted();
  while (place.querySelector("[aria-busy=true]") && performance.now() < end) await new Promise((done) => setTimeout(done, 25));
  await allPainted();
  const pictures = [...place.querySelectorAll("img[src]:not([hidden])")];
  await Promise.all(pictures.map((picture) => picture.decode().catch(() => {})));
}

function makeGrid(heads) {
  const space = el("div", { class: "probe-space", role: "list", "aria-label": "Samples" });
  const none = el("p", { class: "empty", hidden: true });
  const more = pushButton("", () => change({ every: !state.every }), { class: "more" });
  const grid = el("div", { class: "probes" }, space, none);
  const element = el("div", {}, grid, el("p", { class: "more-line" }, more));
  const rows = new Map(); // position -> row
  let free = [];
  let listed = []; // those with a place in the list
  let found = []; // all that the filters let through
  let places = [];
  let built = "";
  let height = 0; // of one row
  let room = 1;
  let lastTop = 0;
  let asked = false;
  let calm = null;

  function place(row, position) {
    row.element.style.transform = `translateY(${position * height}px)`;
    rows.set(position, row);
  }

  function take() {
    const row = free.pop() ?? makeRow(currentRun(), places, room);
    if (!row.element.isConnected) space.append(row.element);
    return row;
  }

  // All rows have the height of the first one: each text takes one line. Before the list is visible its rows have no
  // height, and none is set: the list is measured again once it has a width.
  function measure() {
    space.style.removeProperty("--row");
    if (!rows.size) {
      const first = take();
      first.bind(listed[0], 0, listed.length); // shows it: a row out of use is hidden
      place(first, 0);
    }
    const row = rows.values().next().value;
    row.cells.forEach((cell) => cell.tellBars()); // there may be one or two
    height = Math.ceil(row.element.getBoundingClientRect().height);
    if (!height) return [];
    space.style.setProperty("--row", `${height}px`);
    space.style.height = `${height * listed.length}px`;
    const widths = row.cells.map((cell) => [cell.frame.clientWidth, cell.frame.clientHeight]);
    for (const one of [...rows.values(), ...free]) {
      one.cells.forEach((cell, i) => (cell.size = { width: widths[i][0], height: widths[i][1] }));
    }
    for (const [position, one] of rows) one.element.style.transform = `translateY(${position * height}px)`;
    return widths;
  }
  let sizes = [];

  function inSight() {
    const top = -space.getBoundingClientRect().top;
    const first = Math.max(0, Math.floor(top / height) - ROWS_BEYOND);
    const last = Math.min(listed.length - 1, Math.floor((top + window.innerHeight) / height) + ROWS_BEYOND);
    return { top, first, last };
  }

  function update(fresh = false) {
    asked = false;
    if (!listed.length || !height) return;
    const { top, first, last } = inSight();
    const hasty = !fresh && Math.abs(top - lastTop) > HASTE * window.innerHeight;
    lastTop = top;
    for (const [position, row] of rows) {
      const away = position < first || position > last;
      if (!away || row.element.contains(document.activeElement)) continue;
      rows.delete(position);
      free.push(row);
    }
    for (let position = first; position <= last; position++) {
      const known = rows.get(position);
      const row = known ?? take();
      const before = known?.index; // an unused row may show outdated content
      row.bind(listed[position], position, listed.length);
      if (!known) {
        place(row, position);
        row.cells.forEach((cell, i) => (cell.size = { width: sizes[i][0], height: sizes[i][1] }));
      }
      if (fresh || before !== row.index || row.stale) {
        row.stale = hasty;
        if (hasty) row.tell();
        else row.draw();
      }
    }
    for (const row of free) row.release();
    clearTimeout(calm);
    if (hasty) calm = setTimeout(update, 120);
  }

  function rebuild() {
    const run = currentRun();
    places = placesOf(run);
    room = tallest(run);
    rows.clear();
    free = [];
    space.replaceChildren();
    built = signature();
  }
  const signature = () => JSON.stringify([state.run, placesOf(currentRun()).map(placeKey)]);

  function refresh(values = {}) {
    style();
    if (signature() !== built) rebuild();
    found = listSamples(currentRun());
    const next = state.every ? found : found.slice(0, FIRST);
    more.hidden = found.length <= FIRST;
    more.textContent = state.every ? `Show the first ${FIRST}` : `Show all ${found.length.toLocaleString("en")} images`;
    const same = next.length === listed.length && next.every((index, i) => index === listed[i]);
    listed = next;
    none.hidden = listed.length > 0;
    none.textContent = emptyWords(currentRun());
    space.hidden = !listed.length;
    if (!same) {
      for (const [position, row] of rows) {
        if (position < listed.length) continue;
        rows.delete(position);
        free.push(row);
      }
    }
    drawHeads(heads, currentRun(), places, found.length);
    if (!listed.length) return;
    if (!height || !rows.size || !same || RESIZING.some((name) => name in values)) sizes = measure();
    update(true);
  }

  const style = () => document.documentElement.style.setProperty("--cell", `${state.size}px`);
  const ask = () => {
    if (!asked) requestAnimationFrame(() => update());
    asked = true;
  };
  const light = new Set(["opacity", "split", "zoom", "x", "y", "box"]); // these need no painting
  watch((values) => {
    if (Object.keys(values).every((name) => light.has(name))) return;
    if (Object.keys(values).every((name) => ELSEWHERE.has(name))) return;
    if (Object.keys(values).every((name) => ["sample", "selected", "notes", "large", "whose"].includes(name))) {
      if (state.flag || state.where) refresh();
      else for (const row of rows.values()) row.tell();
    } else refresh(values);
  });
  grid.addEventListener("scroll", () => (heads.scrollLeft = grid.scrollLeft), { passive: true });
  window.addEventListener("scroll", ask, { passive: true });
  new ResizeObserver(ask).observe(document.body); // what lies above the list may grow without a scroll
  let width = 0;
  new ResizeObserver(() => {
    if (grid.clientWidth === width || !listed.length) return;
    width = grid.clientWidth;
    sizes = measure();
    update(true);
  }).observe(grid);
  refresh();
  linkZoom(grid);
  followDisplay(grid);

  // Rows of the first listed samples, or of those that are selected, all in the document and painted: for paper.
  async function spread() {
    const wanted = (state.selected.length ? found.filter((index) => state.selected.includes(index)) : found).slice(0, MOST_PRINTED);
    const printed = wanted.map((index, position) => {
      const row = makeRow(currentRun(), places, room);
      row.bind(index, position, wanted.length);
      return row;
    });
    const place = el("div", { class: "printed" }, printed.map((row) => row.element));
    const across = Math.ceil(places.length / Math.max(1, Math.ceil(places.length / MOST_ACROSS)));
    place.style.setProperty("--across", across + 1);
    for (const row of printed) row.cells.forEach((cell, i) => (cell.element.style.gridColumn = 2 + (i % across)));
    const left = found.length - wanted.length;
    if (left > 0) place.append(el("p", { class: "muted" }, `${wanted.length} of ${found.length} images`));
    grid.append(place);
    for (const row of printed) {
      row.cells.forEach(({ frame: { clientWidth, clientHeight } }, i) => {
        const [width, height] = clientWidth ? [clientWidth, clientHeight] : sizes[i]; // no width: only paper shows it
        row.cells[i].size = { width: SHARP * width, height: SHARP * height };
      });
      row.draw();
    }
    await settled(place);
    return () => place.remove();
  }

  // Moves to another sample of the list and shows it.
  function step(by) {
    if (!listed.length) return;
    const now = listed.indexOf(state.sample);
    const { first } = inSight();
    if (now + by >= listed.length && listed.length < found.length) change({ every: true });
    const next = now < 0 ? Math.min(listed.length - 1, first + (first ? ROWS_BEYOND : 0)) : now + by;
    const position = Math.min(listed.length - 1, Math.max(0, next));
    change({ sample: listed[position] });
    const above = coveredHeight() + 8;
    const top = space.getBoundingClientRect().top + position * height;
    if (top < above || top + height > window.innerHeight) window.scrollBy(0, top - above);
    update();
    rows.get(position)?.element.focus({ preventScroll: true });
  }
  return { element, frame: grid, spread, step, listed: () => found, rows: () => [...rows.values()] };
}
return { makeGrid };
})();
// samples/large.js
const $module42 = (() => {
const { pushButton } = $module5;
const { el } = $module0;
const { epochRange, nearestSnapshot } = $module1;
const { epochName, kindName } = $module7;
const { change, currentRun, limitFields, state, watch } = $module4;
const { followDisplay, makeFrame, tallest } = $module17;
const { enqueue } = $module18;
const { linkPointer } = $module12;
const { linkZoom, setZoom } = $module11;
const { placeKey, placeName, placesOf, sampleAt, snapshotAt } = $module26;
const { makeCell } = $module33;
const { sampleName, sampleTitle } = $module22;
const { listSamples } = $module40;
const { tellVerdict } = $module35;
// The large view: one image and one of its maps side by side as large as the window allows, the other maps beneath.
// It follows the address, so that it can be shared; keys walk through images, maps and epochs.
















const HINT = "← → image, ↑ ↓ map, , . epoch, + − 0 zoom; two fingers or Ctrl and the wheel zoom, dragging pans";

limitFields(["large"], (run) => {
  if (state.large === null) return true;
  return state.sample !== null && Boolean(state.whose || run.columns[state.large]);
});

// The places that are shown, and the one that is large, which may be of a column that is hidden in the list.
function placesShown(run) {
  const places = placesOf(run);
  const wanted = `${state.whose}/${state.large}`;
  const known = places.find((place) => placeKey(place) === wanted);
  if (known) return { places, large: known };
  const hidden = { whose: "", run, epoch: null, words: "", column: run.columns[state.large] };
  return { places: [...places, hidden], large: hidden };
}

function walk(by) {
  const listed = listSamples(currentRun());
  const now = listed.indexOf(state.sample);
  const next = now < 0 ? 0 : (now + by + listed.length) % listed.length;
  if (listed.length) change({ sample: listed[next] });
}

function walkColumns(by) {
  const { places, large } = placesShown(currentRun());
  const next = places[(places.indexOf(large) + by + places.length) % places.length];
  change({ large: next.column.index, whose: next.whose });
}

function walkEpochs(by) {
  const [first, last] = epochRange(currentRun()) ?? [0, 0];
  change({ epoch: Math.min(last, Math.max(first, state.epoch + by)) });
}

const KEYS = {
  ArrowLeft: () => walk(-1),
  ArrowRight: () => walk(1),
  k: () => walk(-1),
  j: () => walk(1),
  ArrowUp: () => walkColumns(-1),
  ArrowDown: () => walkColumns(1),
  ",": () => walkEpochs(-1),
  ".": () => walkEpochs(1),
  "+": () => setZoom(state.zoom * 1.25),
  "=": () => setZoom(state.zoom * 1.25),
  "-": () => setZoom(state.zoom / 1.25),
  0: () => setZoom(1),
};

// The frames of one run and choice of columns; the chosen place's cell is the large one.
function makeStage(run) {
  const room = tallest(run);
  const { places } = placesShown(run);
  const picture = makeFrame(run, room);
  const cells = places.map((place) => makeCell(run, place, room));
  const big = el("div", { class: "large-map" });
  const strip = el("div", { class: "large-strip" });
  const photograph = el("figure", { class: "large-photograph" }, picture.slot);
  const element = el("div", { class: "large-stage" }, el("div", { class: "large-pair" }, photograph, big), strip);
  element.style.setProperty("--room", room);
  linkPointer(element, picture.frame, cells);
  function show(sample) {
    picture.bind(sample);
    const { large } = placesShown(run);
    const chosen = cells[places.findIndex((place) => placeKey(place) === placeKey(large))];
    big.replaceChildren(chosen.element);
    strip.replaceChildren(...cells.filter((cell) => cell !== chosen).map((cell) => cell.element));
    for (const cell of cells) {
      cell.bind(sample);
      cell.size = { width: cell.frame.clientWidth, height: cell.frame.clientHeight };
      enqueue(cell);
    }
  }
  return { element, show, signature: signatureOf(run) };
}

function signatureOf(run) {
  return JSON.stringify([run.folder, placesShown(run).places.map(placeKey)]);
}

function makeHead() {
  const title = el("h2", { id: "large-title", class: "two-lines", dir: "auto" });
  const verdict = el("p", { class: "verdict" });
  const where = el("p", { class: "muted" });
  const buttons = el(
    "p",
    { class: "buttons" },
    pushButton("‹", () => walk(-1), { "aria-label": "Previous image" }),
    pushButton("›", () => walk(1), { "aria-label": "Next image" }),
    pushButton("Whole image", () => setZoom(1), { class: "quiet" }),
    pushButton("Close", () => change({ large: null })),
  );
  function tell(run) {
    const { large } = placesShown(run);
    const there = sampleAt(large, run, state.sample);
    const snapshot = large.whose ? snapshotAt(large) : nearestSnapshot(run, state.epoch);
    title.textContent = sampleTitle(run, state.sample);
    tellVerdict(verdict, large.run, there === null ? null : snapshot, there ?? 0);
    const epoch = large.run.export || !snapshot || large.epoch !== null ? "" : epochName(snapshot.epoch);
    const parts = [sampleName(run, state.sample), epoch, placeName(large), kindName(large.column)];
    where.textContent = parts.filter(Boolean).join(" · ");
  }
  const words = el("div", { class: "large-words" }, title, verdict, where);
  return { element: el("div", { class: "large-head" }, words, buttons), tell };
}

// The dialog, which opens where `large` is a column.
function makeLarge() {
  const head = makeHead();
  const place = el("div", {});
  const hint = el("p", { class: "muted hint" }, HINT);
  const dialog = el("dialog", { class: "large", "aria-labelledby": "large-title" }, head.element, place, hint);
  let stage = null;
  linkZoom(dialog);
  followDisplay(dialog);

  function show() {
    const run = currentRun();
    const wanted = state.large !== null && state.sample !== null;
    if (!wanted) return dialog.open && dialog.close();
    if (!dialog.open) dialog.showModal();
    dialog.classList.toggle("swiping", Boolean(state.versus) && state.compare === "swipe");
    if (stage?.signature !== signatureOf(run)) stage = makeStage(run);
    if (stage.element.parentElement !== place) place.replaceChildren(stage.element);
    head.tell(run);
    stage.show(state.sample);
  }
  const light = new Set(["opacity", "split", "zoom", "x", "y", "box"]); // these need no painting
  watch((values) => {
    if (dialog.open || "large" in values) if (!Object.keys(values).every((name) => light.has(name))) show();
  });
  dialog.addEventListener("close", () => state.large !== null && change({ large: null }));
  dialog.addEventListener("keydown", (event) => {
    const action = event.altKey || event.ctrlKey || event.metaKey ? null : KEYS[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });
  return { element: dialog, show };
}
return { makeLarge };
})();
// panels/figure.js
const $module43 = (() => {
const { el } = $module0;
const { formatValue } = $module7;
const { loadPicture } = $module16;
const { state } = $module4;
const { colourTable } = $module8;
const { paintHeatmap } = $module28;
const { makeColourBar, weightWords } = $module10;
const { hideReadout, showReadout } = $module12;
const { throughZoom } = $module11;
// Figures of the panels: with a caption, and of a picture with a map over it.











function panelFigure(caption, ...content) {
  return el("figure", { class: "panel-figure" }, el("figcaption", {}, caption), content);
}

// The colour bar of a layer; one is enough for all that share a range.
function colourBar(layer) {
  const bar = makeColourBar();
  bar.tell(layer);
  return bar.element;
}

function cellUnder(frame, map, event) {
  const edge = frame.getBoundingClientRect();
  const [x, y] = throughZoom((event.clientX - edge.left) / edge.width, (event.clientY - edge.top) / edge.height);
  const cell = (share, count) => Math.min(count - 1, Math.max(0, Math.floor(share * count)));
  return [cell(y, map.height), cell(x, map.width)];
}

// Marks one cell of a map of this size.
function cellMark(row, column, { height, width }) {
  const mark = el("span", { class: "query-mark" });
  const sides = { left: column / width, top: row / height, width: 1 / width, height: 1 / height };
  for (const [side, share] of Object.entries(sides)) mark.style[side] = `${100 * share}%`;
  return mark;
}

// A picture with a layer over it, at the panel's size, that follows the zoom; it calls `onpick` with the row and the
// column under a click. `marks` lie over both.
function overlaid(run, sample, layer, label, { onpick = null, marks = [] } = {}) {
  const { map, range, table, signed, uniform } = layer;
  const picture = el("img", { alt: "", draggable: "false" });
  const canvas = el("canvas", { role: "img", class: "map", "aria-label": label });
  const [width, height] = run.probes[sample].size ?? [map.width, map.height];
  const frame = el("div", { class: "frame overlaid" }, el("div", { class: "stage" }, picture, canvas, marks));
  frame.style.aspectRatio = `${width} / ${height}`;
  picture.classList.toggle("small", Math.max(width, height) <= 128);
  loadPicture(run, sample).then((url) => (url ? (picture.src = url) : picture.remove()));
  const { smooth, threshold, contour } = state;
  paintHeatmap(canvas, map, range, colourTable(table), { smooth, threshold, contour, signed });
  canvas.style.opacity = state.opacity;
  const tell = (event) => {
    const [y, x] = cellUnder(frame, map, event);
    const value = map.values[y * map.width + x];
    const words = uniform ? weightWords(value, map) : formatValue(value);
    showReadout(event, `${words} · row ${y}, column ${x} of ${map.height} × ${map.width}`);
  };
  frame.addEventListener("pointermove", tell);
  frame.addEventListener("pointerdown", tell);
  frame.addEventListener("pointerleave", hideReadout);
  if (onpick) {
    frame.classList.add("pickable");
    frame.addEventListener("click", (event) => onpick(...cellUnder(frame, map, event)));
  }
  return frame;
}
return { panelFigure, colourBar, cellMark, overlaid };
})();
// drawing/plot.js
const $module44 = (() => {
const { svg } = $module0;
const { formatCount } = $module7;
// The drawing of one line chart: axes with round numbers, lines, a mark at one epoch.




const MARGIN = { left: 50, right: 12, top: 8, bottom: 36 };

function roundTicks(low, high, count) {
  const raw = (high - low) / Math.max(1, count) || 1;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= raw * 0.999);
  const ticks = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) {
    ticks.push(Number((i * step).toPrecision(10)));
  }
  return ticks;
}

// Powers of ten and their multiples by 2 and 5; only the powers where there are many.
function logTicks(low, high) {
  const [first, last] = [Math.floor(Math.log10(low)), Math.ceil(Math.log10(high))];
  const factors = last - first > 3 ? [1] : [1, 2, 5];
  const ticks = [];
  for (let power = first; power <= last; power++) for (const factor of factors) ticks.push(Number(`${factor}e${power}`));
  return ticks.filter((tick) => tick >= low * 0.999 && tick <= high * 1.001);
}

// The values at the ends of the upright axis; on a logarithmic one only positive values count.
function valueBounds(lines, log = false) {
  const inBand = (line) => (line.band ?? []).flatMap(([, low, high]) => [low, high]);
  const all = lines.flatMap((line) => [...line.points.map((point) => point[3]), ...inBand(line)]);
  const values = log ? all.filter((value) => value > 0) : all;
  if (!values.length) return log ? [0.1, 1] : [0, 1];
  const low = values.reduce((a, b) => Math.min(a, b));
  const high = values.reduce((a, b) => Math.max(a, b));
  if (log) return [low / (high / low) ** 0.05 / 1.05, high * (high / low) ** 0.05 * 1.05];
  const room = (high - low) * 0.06 || Math.abs(high) * 0.1 || 1;
  return [low >= 0 ? Math.max(0, low - room) : low - room, high + room];
}

// Epochs and values <-> pixels of a plot of this size. On a logarithmic axis, values below its end lie at the end.
// `left` is the room for the numbers of the upright axis.
function makeScales(width, height, xs, ys, log = false, left = MARGIN.left) {
  const inner = width - left - MARGIN.right;
  const tall = height - MARGIN.top - MARGIN.bottom;
  const place = log ? (value) => Math.log(Math.max(value, ys[0])) : (value) => value;
  const [low, high] = ys.map(place);
  return {
    width,
    height,
    xs,
    ys,
    log,
    left,
    x: (value) => left + ((value - xs[0]) / (xs[1] - xs[0])) * inner,
    y: (value) => height - MARGIN.bottom - ((place(value) - low) / (high - low)) * tall,
    epochAt: (pixel) =>
      Math.min(xs[1], Math.max(xs[0], xs[0] + ((pixel - left) / inner) * (xs[1] - xs[0]))),
  };
}

const upright = (ys, log) => (log ? logTicks(...ys) : roundTicks(...ys, 6));
const LETTER = 7; // width of a digit

// The room that the numbers of the upright axis need, at least the usual one.
function roomForNumbers(ys, log, format) {
  return Math.max(MARGIN.left, ...upright(ys, log).map((tick) => LETTER * format(tick).length + 10));
}

function drawAxes({ width, height, xs, ys, x, y, log, left }, format, words) {
  const right = width - MARGIN.right;
  const rows = upright(ys, log).map((tick) =>
    svg(
      "g",
      { class: "tick" },
      svg("line", { x1: left, x2: right, y1: y(tick), y2: y(tick) }),
      svg("text", { x: left - 7, y: y(tick) + 4, "text-anchor": "end" }, format(tick)),
    ),
  );
  const ticks = roundTicks(...xs, Math.min(10, width / 60));
  const whole = words.startsWith("epochs") ? ticks.filter(Number.isInteger) : ticks;
  const columns = whole.length > 1 ? whole : ticks; // a part of the axis may lie within one epoch
  const below = height - MARGIN.bottom + 17;
  return [
    ...rows,
    ...columns.map((tick) =>
      svg("text", { class: "tick", x: x(tick), y: below, "text-anchor": "middle" }, formatCount(tick)),
    ),
    svg("text", { class: "axis", x: right, y: height - 4, "text-anchor": "end" }, words),
  ];
}

// Gives an element a colour by number: eight that colour-blind readers tell apart, then others, none of them twice.
function tint(element, colour) {
  if (colour < 8) element.classList.add(`line-${colour}`);
  else element.style.setProperty("--colour", `hsl(${(colour * 137.508) % 360} ${colour % 2 ? 65 : 45}% 48%)`);
  return element;
}

function drawLine({ x, y }, line) {
  const points = line.points.map((point) => `${x(point[0]).toFixed(1)},${y(point[3]).toFixed(1)}`).join(" ");
  return tint(svg("polyline", { class: `curve dash-${line.dash}`, points }), line.colour);
}

function drawBand({ x, y }, line) {
  const edge = (which) => line.band.map((point) => `${x(point[0]).toFixed(1)},${y(point[which]).toFixed(1)}`);
  return tint(svg("polygon", { class: "curve-band", points: [...edge(2), ...edge(1).reverse()].join(" ") }), line.colour);
}

function drawUpright({ x, height }, at, name, title) {
  const ends = { x1: x(at), x2: x(at), y1: MARGIN.top, y2: height - MARGIN.bottom };
  return svg("line", { class: name, ...ends }, title && svg("title", {}, title));
}
return { roundTicks, logTicks, valueBounds, makeScales, roomForNumbers, drawAxes, tint, drawLine, drawBand, drawUpright };
})();
// panels/attending.js
const $module45 = (() => {
const { makeCache } = $module14;
const { decode } = $module15;
const { loadScript } = $module16;
const { state } = $module4;
// Provides recorded heads, pairwise maps and gate statistics to the attention panel.






async function unpack(packed) {
  const [height, width] = packed.shape.length === 2 ? packed.shape : [1, packed.shape[0]];
  return { ...packed, values: await decode(packed), height, width };
}

async function unpackAll(found) {
  const all = {};
  for (const [name, packed] of Object.entries(found)) all[name] = await unpack(packed);
  return all;
}

const weigh = (all) => Object.values(all).reduce((sum, one) => sum + one.values.byteLength, 0);
const headCache = makeCache(64e6, async (key, hash) => {
  const value = await unpackAll(await loadScript(key, hash));
  return { value, bytes: weigh(value) };
});

const gateCache = makeCache(32e6, async (key, hash) => {
  const { images, gates } = await loadScript(key, hash);
  for (const one of Object.values(gates)) {
    one.quantiles = await unpack(one.quantiles);
    if (!one.byClass) continue;
    one.byClass = await unpack(one.byClass);
    one.byClass.height = one.byClass.values.length / one.byClass.width;
  }
  return { value: { images, gates }, bytes: 1e5 };
});

// The recorded epoch nearest to the chosen one among the keys of `hashes`, or null.
function nearestOf(hashes, epoch = state.epoch) {
  const epochs = Object.keys(hashes ?? {}).map(Number);
  if (!epochs.length) return null;
  return epochs.reduce((a, b) => (Math.abs(b - epoch) < Math.abs(a - epoch) ? b : a));
}

async function loadPanel(run, name, cache) {
  const hashes = run.panels?.[name] ?? {};
  const epoch = nearestOf(hashes);
  if (epoch === null) return null;
  return { epoch, ...{ found: await cache.get(`${run.folder}/e${epoch}-${name}`, hashes[epoch]) } };
}

// The maps of all heads for one sample: what every position receives.
function headMaps(all, sample) {
  const size = all.height * all.width;
  return Array.from({ length: all.heads }, (_, head) => {
    const i = sample * all.heads + head;
    const values = all.values.subarray(i * size, (i + 1) * size);
    return values.length ? { values, height: all.height, width: all.width } : null;
  }).filter(Boolean);
}

// What one position attends to, in every head.
function queryMaps(all, sample, query) {
  const size = all.height * all.width;
  if (sample >= all.images || query >= all.queries) return [];
  return Array.from({ length: all.heads }, (_, head) => {
    const i = (sample * all.heads + head) * all.queries + query;
    return { values: all.values.subarray(i * size, (i + 1) * size), height: all.height, width: all.width };
  });
}
return { headCache, gateCache, loadPanel, headMaps, queryMaps };
})();
// panels/gates.js
const $module46 = (() => {
const { className } = $module21;
const { el, svg } = $module0;
const { nearestSnapshot } = $module1;
const { epochName, formatValue, isolated } = $module7;
const { state } = $module4;
const { paintBars, sortedGates } = $module27;
const { colourTable } = $module8;
const { paintHeatmap } = $module28;
const { roundTicks } = $module44;
const { hideReadout, showReadout } = $module12;
const { finiteRange } = $module9;
const { loadMap } = $module32;
const { gateCache, loadPanel } = $module45;
const { colourBar, panelFigure } = $module43;
// Channel gates: this image's as sorted bars, and the distribution of every channel over the data set.
















const MOST_NAMED = 20; // classes whose names fit next to the rows
const GATE_PLOT = { width: 640, height: 210, left: 44, right: 10, top: 8, bottom: 24 };

function gateScales(range, count) {
  const { width, height, left, right, top, bottom } = GATE_PLOT;
  const [lo, hi] = range[1] > range[0] ? range : [range[0] - 0.5, range[0] + 0.5];
  return {
    lo,
    hi,
    x: (place) => left + ((place + 0.5) / count) * (width - left - right),
    y: (value) => height - bottom - ((value - lo) / (hi - lo)) * (height - top - bottom),
  };
}

function band(scales, lower, upper, order, name) {
  const edge = (row) => order.map((channel, i) => `${scales.x(i).toFixed(1)},${scales.y(row[channel]).toFixed(1)}`);
  return svg("polygon", { class: name, points: [...edge(upper), ...edge(lower).reverse()].join(" ") });
}

// Channels sorted by their median; bands of the middle half and of nine tenths of the images; a dot for the
// chosen image.
function drawSpread({ quantiles, range }, gates) {
  const count = quantiles.width;
  const rows = [0, 1, 2, 3, 4].map((i) => quantiles.values.subarray(i * count, (i + 1) * count));
  const order = [...rows[2].keys()].sort((a, b) => rows[2][b] - rows[2][a]);
  const scales = gateScales(range, count);
  const { width, height, left, right } = GATE_PLOT;
  const median = order.map((channel, i) => `${scales.x(i).toFixed(1)},${scales.y(rows[2][channel]).toFixed(1)}`);
  const ticks = roundTicks(scales.lo, scales.hi, 6).map((tick) =>
    svg(
      "g",
      { class: "tick" },
      svg("line", { x1: left, x2: width - right, y1: scales.y(tick), y2: scales.y(tick) }),
      svg("text", { x: left - 6, y: scales.y(tick) + 4, "text-anchor": "end" }, formatValue(tick)),
    ),
  );
  const dots = gates
    ? order.map((channel, i) =>
        svg(
          "circle",
          { class: "gate-dot", cx: scales.x(i), cy: scales.y(gates.values[channel]), r: Math.min(2.4, Math.max(1, 200 / count)), "data-channel": channel },
          svg("title", {}, `channel ${channel}: ${formatValue(gates.values[channel])}`),
        ),
      )
    : [];
  return svg(
    "svg",
    { class: "spread", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": "Gates over the data set" },
    ticks,
    band(scales, rows[0], rows[4], order, "band wide"),
    band(scales, rows[1], rows[3], order, "band"),
    svg("polyline", { class: "median", points: median.join(" ") }),
    dots,
    svg("text", { class: "axis", x: width - right, y: height - 6, "text-anchor": "end" }, "channels, by their median"),
  );
}

function drawHistogram({ histogram, range }) {
  const { height, bottom, top } = GATE_PLOT;
  const width = 240;
  const most = Math.max(1, ...histogram);
  const step = width / histogram.length;
  const bars = histogram.map((count, i) => {
    const tall = ((height - top - bottom) * count) / most;
    return svg("rect", { class: "count", x: i * step, y: height - bottom - tall, width: step - 0.6, height: tall });
  });
  const label = (x, anchor, value) =>
    svg("text", { class: "axis", x, y: height - 6, "text-anchor": anchor }, formatValue(value));
  return svg(
    "svg",
    { class: "histogram", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": "How often each value occurs" },
    bars,
    label(0, "start", range[0]),
    label(width, "end", range[1]),
  );
}

// Mean gate of every channel for every class: rows are classes, as in figure 5 of the paper on
// squeeze-and-excitation.
function drawByClass(run, one) {
  const { byClass } = one;
  const range = byClass && finiteRange(byClass.values);
  if (!range) return null;
  const canvas = el("canvas", { class: "by-class", role: "img", "aria-label": "Mean gate by class and channel" });
  paintHeatmap(canvas, byClass, range, colourTable(state.colours), { smooth: false, threshold: 0, contour: false });
  canvas.addEventListener("pointermove", (event) => {
    const edge = canvas.getBoundingClientRect();
    const row = Math.min(byClass.height - 1, Math.floor(((event.clientY - edge.top) / edge.height) * byClass.height));
    const channel = Math.min(byClass.width - 1, Math.floor(((event.clientX - edge.left) / edge.width) * byClass.width));
    if (row < 0 || channel < 0) return;
    const value = byClass.values[row * byClass.width + channel];
    showReadout(event, `${isolated(className(run, row))}, channel ${channel}: ${formatValue(value)}`);
  });
  canvas.addEventListener("pointerleave", hideReadout);
  const few = byClass.height <= MOST_NAMED;
  const names = Array.from({ length: byClass.height }, (_, i) => el("li", {}, el("span", { dir: "auto", title: className(run, i) }, className(run, i))));
  const frame = el("div", { class: "by-class-frame" }, few && el("ol", { class: "names-y", "aria-hidden": "true" }, names), canvas);
  const layer = { range, table: state.colours, signed: false };
  return panelFigure("Mean by class (rows) and channel", frame, el("div", { class: "shared-scale" }, colourBar(layer)));
}

async function drawGates(run, column, sample) {
  const snapshot = nearestSnapshot(run, state.epoch, column);
  const map = snapshot && (await loadMap(snapshot, column, sample));
  const panel = await loadPanel(run, "gates", gateCache);
  const one = panel?.found.gates[column.title];
  const bars = el("canvas", { class: "gate-bars", role: "img", "aria-label": "Gates of this image, sorted" });
  const figures = [panelFigure(`Gates of this image, sorted (${map?.width ?? 0} channels)`, bars)];
  if (one) {
    const images = panel.found.images === 1 ? "1 image" : `${panel.found.images} images`;
    const words = `Over ${images}, ${epochName(panel.epoch)}: median, middle half, nine tenths; dots: this image`;
    figures.push(panelFigure(words, drawSpread(one, map)), panelFigure("All values", drawHistogram(one)), drawByClass(run, one));
  }
  const paint = () => map && paintBars(bars, map, [map.lo, map.hi], sortedGates(map), { width: bars.clientWidth, height: bars.clientHeight });
  return { figures: figures.filter(Boolean), paint };
}
return { drawGates };
})();
// panels/heads.js
const $module47 = (() => {
const { el } = $module0;
const { epochName } = $module7;
const { anIndex } = $module2;
const { addField, change, state } = $module4;
const { weightLayers } = $module30;
const { finiteRange, isNearlyConstant, uniformOf } = $module9;
const { headCache, headMaps, loadPanel, queryMaps } = $module45;
const { cellMark, colourBar, overlaid, panelFigure } = $module43;
// Self-attention in full: every head, what a chosen position attends to, and all layers × heads as one matrix.










addField("query", anIndex());

const WEIGHTS = { weights: true };

function spread(map) {
  const finite = Array.from(map.values).filter(Number.isFinite);
  return { ...map, lo: finite.length ? Math.min(...finite) : null, hi: finite.length ? Math.max(...finite) : null };
}

function flatBadge(run, map) {
  return isNearlyConstant(run, WEIGHTS, spread(map)) && el("span", { class: "elsewhere" }, "nearly uniform");
}

// All heads of one block at one scale, with its colour bar.
function headGrid(run, sample, maps, all, label, mark = null) {
  const layers = weightLayers(maps, all.values);
  const frames = layers.map((layer, i) => {
    const name = maps.length > 1 ? `head ${i + 1}` : "all heads";
    const marks = mark ? [cellMark(...mark, layer.map)] : [];
    const frame = overlaid(run, sample, layer, `${label}, ${name}`, { marks });
    frame.append(...[flatBadge(run, layer.map)].filter(Boolean));
    return el("figure", { class: "head-map" }, frame, el("figcaption", {}, name));
  });
  const bar = layers.length ? el("div", { class: "shared-scale" }, colourBar(layers[0])) : null;
  return el("div", { class: "heads-at-one-scale" }, el("div", { class: "head-grid" }, frames), bar);
}

function isGrid(all) {
  return all.queries === all.height * all.width;
}

// The chosen position: {query, row, column}; without a choice that in the middle.
function chosenQuery(all) {
  const query = Math.min(state.query ?? Math.floor(all.queries / 2 + all.width / 2), all.queries - 1);
  return { query, row: Math.floor(query / all.width), column: query % all.width };
}

function placeSlider(name, label, value, count, onmove) {
  const field = el("input", {
    type: "range",
    min: 0,
    max: count - 1,
    value,
    name,
    "aria-label": `${label} of the position whose attention is shown`,
    oninput: () => onmove(Number(field.value)),
  });
  return el("label", { class: "control" }, `${label} ${value}`, field);
}

// A click, the arrow keys or the sliders choose the position whose attention is shown.
function queryPicker(run, sample, all) {
  const { query, row, column } = chosenQuery(all);
  if (!isGrid(all)) {
    return el("div", { class: "query" }, placeSlider("query", "Number", query, all.queries, (value) => change({ query: value })));
  }
  const pick = (y, x) => change({ query: y * all.width + x });
  const map = { values: new Float32Array(all.height * all.width).fill(NaN), height: all.height, width: all.width };
  const layer = { map, range: [0, 1], table: state.colours, signed: false, uniform: null };
  const frame = overlaid(run, sample, layer, "Choose a position", { onpick: pick, marks: [cellMark(row, column, all)] });
  return el(
    "div",
    { class: "query" },
    frame,
    placeSlider("query-row", "Row", row, all.height, (y) => pick(y, column)),
    placeSlider("query-column", "Column", column, all.width, (x) => pick(row, x)),
  );
}

function placeWords(all) {
  const { query, row, column } = chosenQuery(all);
  return isGrid(all) ? `row ${row}, column ${column}` : `position ${query}`;
}

async function drawSelfAttention(run, title, sample) {
  const heads = await loadPanel(run, "heads", headCache);
  const pairs = await loadPanel(run, "pairwise", headCache);
  const figures = [];
  const all = heads?.found[title];
  const pairwise = pairs?.found[title];
  const looking = pairwise && sample < pairwise.images;
  if (all) {
    const words = `What each head attends to, ${epochName(heads.epoch)}`;
    const { row, column } = looking ? chosenQuery(pairwise) : {};
    const mark = looking && isGrid(pairwise) && all.height === pairwise.height ? [row, column] : null;
    figures.push(panelFigure(words, headGrid(run, sample, headMaps(all, sample), all, words, mark)));
  }
  if (looking) {
    const { query, row, column } = chosenQuery(pairwise);
    const words = `What ${placeWords(pairwise)} attends to, ${epochName(pairs.epoch)}`;
    const mark = isGrid(pairwise) ? [row, column] : null;
    const looks = headGrid(run, sample, queryMaps(pairwise, sample, query), pairwise, words, mark);
    looks.classList.add("looks");
    figures.unshift(panelFigure("Choose a position", queryPicker(run, sample, pairwise)), panelFigure(words, looks));
  } else if (pairwise) {
    const words = `What positions attend to is recorded only for the first ${pairwise.images} images.`;
    figures.push(el("p", { class: "muted" }, words));
  }
  return { figures };
}

// Weights as multiples of the uniform one, so that layers of different sizes share a scale.
function relative(map) {
  const uniform = uniformOf(map) || 1;
  return { ...map, values: map.values.map((value) => value / uniform) };
}

// A row for each layer and a column for each head, all at one scale.
async function drawLayersAndHeads(run, titles, name, sample) {
  const heads = await loadPanel(run, "heads", headCache);
  const layers = titles.filter((title) => heads?.found[title]);
  if (!layers.length) return { figures: [el("p", { class: "muted" }, "Heads were not recorded.")] };
  const rows = layers.map((title) => headMaps(heads.found[title], sample).map(relative));
  const ends = layers.flatMap((title) => finiteRange(relative(heads.found[title]).values) ?? []);
  const painted = weightLayers(rows.flat(), ends);
  const most = Math.max(...rows.map((row) => row.length));
  let next = 0;
  const head = el("tr", {}, el("td"), Array.from({ length: most }, (_, i) => el("th", { scope: "col" }, `head ${i + 1}`)));
  const body = rows.map((row, layer) => {
    const cells = row.map((_, i) => {
      const label = `${name(layers[layer])}, head ${i + 1}`;
      return el("td", {}, overlaid(run, sample, painted[next++], label));
    });
    return el("tr", {}, el("th", { scope: "row" }, name(layers[layer])), cells);
  });
  const words = `What each head of each layer attends to, × uniform, ${epochName(heads.epoch)}`;
  const table = el("table", { class: "head-matrix" }, el("thead", {}, head), el("tbody", {}, body));
  return {
    figures: [
      panelFigure(words, el("div", { class: "table-frame", tabindex: "0" }, table), el("div", { class: "shared-scale" }, colourBar(painted[0]))),
    ],
  };
}
return { drawSelfAttention, drawLayersAndHeads };
})();
// panels/stepper.js
const $module48 = (() => {
const { pushButton } = $module5;
const { el } = $module0;
const { isolated } = $module7;
const { change, currentRun, state, watch } = $module4;
const { sampleTitle } = $module22;
// Steps through the samples; the grid's chosen sample is the same one.







function sampleStepper() {
  const shown = el("output", { class: "two-lines" });
  const step = (by) => {
    const count = currentRun().probes.length;
    change({ sample: ((state.sample ?? 0) + by + count) % count });
  };
  const show = () => {
    const run = currentRun();
    const at = state.sample ?? 0;
    if (run.probes[at]) shown.textContent = `${at + 1} of ${run.probes.length}: ${isolated(sampleTitle(run, at))}`;
  };
  watch(show);
  show();
  const before = pushButton("‹", () => step(-1), { "aria-label": "Previous image" });
  const after = pushButton("›", () => step(1), { "aria-label": "Next image" });
  return el("div", { class: "stepper", role: "group", "aria-label": "Image" }, before, shown, after);
}
return { sampleStepper };
})();
// panels/attention.js
const $module49 = (() => {
const { select } = $module5;
const { el } = $module0;
const { nearestSnapshot } = $module1;
const { columnName, epochName, formatEnds, inWords, snapshotName } = $module7;
const { change, currentRun, state, watch } = $module4;
const { layerOf } = $module30;
const { isNearlyConstant } = $module9;
const { linkZoom } = $module11;
const { loadMap } = $module32;
const { colourBar, overlaid, panelFigure } = $module43;
const { drawGates } = $module46;
const { drawLayersAndHeads, drawSelfAttention } = $module47;
const { sampleStepper } = $module48;
// The attention panel: one block's map of one image in full: gates, positions through the epochs, heads, and
// what each position attends to.















const ROLLOUT = "rollout";
const MATRIX = "layers-heads";

function attentionColumns(run) {
  return run.columns.filter((column) => column.source === "attention");
}

function isPairwise(column) {
  return ["pairwise", "alignment"].includes(column.kind);
}

function siteChoices(run) {
  const choices = attentionColumns(run).map((column) => [column.title, `${columnName(column)} · ${column.kind}`]);
  const pairwise = attentionColumns(run).filter(isPairwise).length;
  if (pairwise > 1) choices.push([ROLLOUT, "rollout · all layers"]);
  if (pairwise && Object.keys(run.panels?.heads ?? {}).length) choices.push([MATRIX, "all layers × heads"]);
  return choices;
}

function chosenSite(run) {
  const titles = siteChoices(run).map(([title]) => title);
  if (titles.includes(state.site)) return state.site;
  return titles.includes(ROLLOUT) ? ROLLOUT : attentionColumns(run).at(-1)?.title;
}

// The same map in all recorded epochs; a click selects the epoch.
async function drawFilm(run, column, sample) {
  const snapshots = run.epochs.filter((snapshot) => snapshot.maps[column.index]);
  const now = nearestSnapshot(run, state.epoch, column);
  const frames = await Promise.all(
    snapshots.map(async (snapshot) => {
      const map = await loadMap(snapshot, column, sample);
      if (!map) return null;
      const label = `${columnName(column)}, ${epochName(snapshot.epoch)}`;
      const layer = layerOf(run, snapshot, column, map);
      const frame = overlaid(run, sample, layer, label);
      const go = () => change({ epoch: snapshot.epoch });
      return el(
        "button",
        { type: "button", class: "film-frame", "aria-pressed": String(snapshot === now), onclick: go },
        frame,
        el("span", {}, epochName(snapshot.epoch)),
        colourBar(layer),
      );
    }),
  );
  return el("div", { class: "film" }, frames);
}

async function drawPositions(run, column, sample) {
  const snapshot = nearestSnapshot(run, state.epoch, column);
  const map = snapshot && (await loadMap(snapshot, column, sample));
  if (!map) return { figures: [el("p", { class: "muted" }, "Not logged.")] };
  const layer = layerOf(run, snapshot, column, map);
  const large = overlaid(run, sample, layer, `${columnName(column)}, this image`);
  const [size, ends] = [`${map.height} × ${map.width}`, formatEnds(map.lo, map.hi).join(" to ")];
  const flat = isNearlyConstant(run, column, map) ? "nearly constant" : "";
  const figures = [panelFigure(inWords(snapshotName(snapshot), size, ends, flat), large, colourBar(layer))];
  if (run.epochs.length > 1) figures.push(panelFigure("Through the epochs", await drawFilm(run, column, sample)));
  return { figures };
}

async function drawAttention(run, title, sample) {
  if (title === MATRIX) {
    const titles = attentionColumns(run).filter(isPairwise).map((column) => column.title);
    return drawLayersAndHeads(run, titles, (one) => columnName({ title: one }), sample);
  }
  const column = run.columns.find((one) => one.title === title);
  const pairs = column && isPairwise(column) && Object.keys(run.panels?.heads ?? {}).length;
  if (!column || pairs) {
    const drawn = await drawSelfAttention(run, title, sample);
    if (drawn.figures.length || !column) return drawn;
  }
  return column.bars ? drawGates(run, column, sample) : drawPositions(run, column, sample);
}

const DRAWN_BY = ["colours", "signed", "smooth", "opacity", "scale", "clip", "low", "high", "threshold", "contour"];
const ATTENTION_STATE = ["run", "epoch", "site", "sample", "query", "theme", ...DRAWN_BY];

function makeAttention() {
  const body = el("div", { class: "attention-body" });
  const site = select("site", "Map", siteChoices);
  const tools = el("div", { class: "panel-tools" }, site, sampleStepper());
  const section = el("section", { "aria-labelledby": "attention" }, el("h2", { id: "attention" }, "Attention"), tools, body);
  linkZoom(body);
  let turn = 0;
  async function draw() {
    const run = currentRun();
    section.hidden = !attentionColumns(run).length || !run.probes.length;
    if (section.hidden) return;
    const now = ++turn;
    const title = chosenSite(run);
    site.querySelector("select").value = title;
    body.setAttribute("aria-busy", "true");
    const focused = body.contains(document.activeElement) ? document.activeElement.name : "";
    const drawn = await drawAttention(run, title, state.sample ?? 0).catch(() => null);
    if (now !== turn) return;
    body.removeAttribute("aria-busy");
    body.replaceChildren(...(drawn?.figures ?? [el("p", { class: "muted" }, "The maps could not be read.")]));
    drawn?.paint?.();
    if (focused) body.querySelector(`input[name="${CSS.escape(focused)}"]`)?.focus();
  }
  watch((values) => {
    if (ATTENTION_STATE.some((name) => name in values)) draw();
  });
  queueMicrotask(draw);
  return section;
}
return { makeAttention };
})();
// panels/bags.js
const $module50 = (() => {
const { className } = $module21;
const { labelled } = $module5;
const { el } = $module0;
const { aNumber } = $module2;
const { formatPercent, isolated } = $module7;
const { plainCache } = $module16;
const { addField, change, currentRun, state, watch } = $module4;
// The images of some test bags, those with the largest attention weight first.









addField("bag", aNumber(0, 0, 1e6));

function loadBags(run) {
  const hash = run.panels?.bags;
  return hash ? plainCache.get(`${run.folder}/bags`, hash, 1e6) : null;
}

function bagWords(run, bag) {
  const right = bag.label === bag.predicted ? "right" : "wrong";
  const guess = `${isolated(className(run, bag.predicted))} with ${formatPercent(bag.probability, 1)}`;
  const shown = bag.images.length < bag.size ? `; the ${bag.images.length} heaviest of ${bag.size} images` : "";
  return `True class ${isolated(className(run, bag.label))}, predicted ${guess}: ${right}${shown}`;
}

// One image with its share of the weight, as text and as a bar; a known key instance is marked.
function imageOf({ url, weight, key }, heaviest) {
  const share = formatPercent(weight, 1);
  const marked = key === 1 ? ", makes the bag positive" : "";
  const bar = el("span", { class: "bag-bar" });
  bar.style.width = `${((100 * weight) / (heaviest || 1)).toFixed(1)}%`;
  return el(
    "li",
    { class: key === 1 ? "bag-image key" : "bag-image" },
    el("img", { src: url, alt: `Image with ${share} of the weight${marked}` }),
    el("span", { class: "bag-track" }, bar),
    el("span", { class: "bag-weight number" }, share),
  );
}

function makeBags() {
  const body = el("div", { class: "bag-body" });
  const chosen = el("select", { name: "bag", onchange: () => change({ bag: Number(chosen.value) }) });
  const title = el("h2", { id: "bags" }, "Bags");
  const tools = el("div", { class: "panel-tools" }, labelled("Bag", chosen));
  const section = el("section", { "aria-labelledby": "bags" }, title, tools, body);
  let turn = 0;
  async function draw() {
    const run = currentRun();
    const now = ++turn;
    section.hidden = !run.panels?.bags;
    const bags = section.hidden ? null : await loadBags(run).catch(() => null);
    if (now !== turn || !bags?.length) return;
    const index = Math.min(state.bag, bags.length - 1);
    const bag = bags[index];
    const option = (one, i) => el("option", { value: i }, `${one.name} (${isolated(className(run, one.label))})`);
    chosen.replaceChildren(...bags.map(option));
    chosen.value = String(index);
    const heaviest = Math.max(...bag.images.map((one) => one.weight));
    const known = bag.images.some((one) => one.key >= 0);
    const hint = known ? " Frames mark the images that make a bag positive." : "";
    body.replaceChildren(
      el("p", {}, bagWords(run, bag)),
      el("p", { class: "muted hint" }, `Sorted by the share of the attention weight.${hint}`),
      el("ul", { class: "bag-images" }, bag.images.map((one) => imageOf(one, heaviest))),
    );
  }
  watch((values) => {
    if ("run" in values || "bag" in values) draw();
  });
  draw();
  return section;
}
return { makeBags };
})();
// panels/confusion_matrix.js
const $module51 = (() => {
const { className } = $module21;
const { el } = $module0;
const { formatPercent, isolated } = $module7;
const { state } = $module4;
const { colourTable } = $module8;
const { paintHeatmap } = $module28;
const { makeColourBar } = $module10;
const { hideReadout, showReadout } = $module12;
// The confusion matrix as a picture: shares of each true class as colours, counts as numbers, or the errors alone.










const MOST_NAMED = 20; // classes whose names and counts fit
const LIGHT = 0.45; // relative luminance above which dark numbers are easier to read

// {map, range}: the fraction of each true class that was predicted as each class. Where errors alone are shown, right
// predictions have no colour, and the colours end at the most frequent error.
function confusionShares({ classes, counts }, sums, errorsOnly) {
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
function confusionFigure(run, content, sums, onpick) {
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
return { confusionShares, confusionFigure };
})();
// panels/confusion.js
const $module52 = (() => {
const { className } = $module21;
const { pushButton, select } = $module5;
const { el } = $module0;
const { nearestSnapshot } = $module1;
const { aChoice } = $module2;
const { epochName, formatPercent } = $module7;
const { goTo } = $module13;
const { plainCache } = $module16;
const { addField, change, currentRun, state, watch } = $module4;
const { confusionFigure } = $module51;
// The confusion matrix and the accuracy of each class. A click lists the samples of a cell.












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
const told = (parts) => parts.map((part) => part.textContent ?? part).join("");

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

function makeConfusion() {
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
return { makeConfusion };
})();
// core/settings.js
const $module53 = (() => {
const { report } = $module3;
// What the configurations of several runs differ in.



let found = null;

// Dotted names of the settings that are not the same in all trained runs, in the order of the configuration.
function differingSettings() {
  if (found) return found;
  const trained = report.runs.filter((run) => !run.export);
  const names = [...new Set(trained.flatMap((run) => Object.keys(run.settings ?? {})))];
  found = names.filter((name) => new Set(trained.map((run) => run.settings?.[name])).size > 1);
  return found;
}
return { differingSettings };
})();
// drawing/dragging.js
const $module54 = (() => {
const { el } = $module0;
// Drags of the mouse over a plot that choose a part of its axis. A finger scrolls the page, as elsewhere.



const LEAST = 8; // pixels; less is a click

// at(pixel) returns the place on the axis. Returns a function that tells whether the last press was a drag.
function followDrag(plot, at, onspan) {
  let from = null;
  let dragged = false;
  const mark = el("div", { class: "dragged", hidden: true });
  const pixel = (event) => event.clientX - plot.getBoundingClientRect().left;
  plot.addEventListener("pointerdown", (event) => {
    dragged = false;
    if (event.pointerType !== "mouse" || event.button) return;
    from = pixel(event);
    plot.setPointerCapture(event.pointerId);
    if (!mark.isConnected) plot.after(mark);
  });
  plot.addEventListener("pointermove", (event) => {
    if (from === null || Math.abs(pixel(event) - from) < LEAST) return;
    dragged = true;
    const [low, high] = [from, pixel(event)].sort((a, b) => a - b);
    mark.hidden = false;
    const [own, around] = [plot, plot.parentElement].map((one) => one.getBoundingClientRect());
    const [left, top] = [own.left - around.left, own.top - around.top];
    Object.assign(mark.style, { left: `${left + low}px`, top: `${top}px`, width: `${high - low}px`, height: `${plot.clientHeight}px` });
  });
  const end = (event) => {
    mark.hidden = true;
    const [low, high] = [at(Math.min(from ?? 0, pixel(event))), at(Math.max(from ?? 0, pixel(event)))];
    if (from !== null && dragged && event.type === "pointerup" && low !== null && high > low) onspan(low, high);
    from = null;
  };
  plot.addEventListener("pointerup", end);
  plot.addEventListener("pointercancel", end);
  return () => dragged;
}
return { followDrag };
})();
// drawing/series.js
const $module55 = (() => {
// Curves as numbers: smoothed, over another axis, averaged over runs. A point is [x, epochs trained, step, value].

// Exponential moving averages with their bias corrected, as TensorBoard smooths.
function smoothed(points, weight) {
  if (!weight) return points;
  let mean = 0;
  return points.map(([x, epoch, step, value], i) => {
    mean = weight * mean + (1 - weight) * value;
    return [x, epoch, step, mean / (1 - weight ** (i + 1))];
  });
}

// The value at x on straight lines between the points; null outside of them.
function interpolated(points, x) {
  const last = points.length - 1;
  if (last < 0 || x < points[0][0] || x > points[last][0]) return null;
  let low = 0;
  let high = last;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (points[middle][0] <= x) low = middle;
    else high = middle;
  }
  const [a, b] = [points[low], points[high]];
  return b[0] === a[0] ? a[3] : a[3] + ((x - a[0]) / (b[0] - a[0])) * (b[3] - a[3]);
}

// The mean of several curves where all of them have values, at the points of the first, and the band of one standard
// deviation (of the sample) around it: {points, band: [[x, low, high]]}.
function meanCurve(curves) {
  const points = [];
  const band = [];
  for (const [x, epoch, step] of curves[0]) {
    const values = curves.map((curve) => interpolated(curve, x));
    if (values.includes(null)) continue;
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
    const deviation = values.length > 1 ? Math.sqrt(squares / (values.length - 1)) : 0;
    points.push([x, epoch, step, mean]);
    band.push([x, mean - deviation, mean + deviation]);
  }
  return { points, band };
}

// What names of runs have in common at their beginning, without the seed's number.
function commonName(names) {
  let length = 0;
  while (names[0][length] !== undefined && names.every((name) => name[length] === names[0][length])) length++;
  return names[0].slice(0, length).replace(/[-_. ]*(seed)?[-_. ]*\d*$/i, "") || names[0];
}

// The part of a line within [low, high], with values on straight lines at both ends; its band only where it has points.
function partWithin(line, [low, high]) {
  const ends = [low, high].map((x) => [x, interpolated(line.points, x)]).filter(([, value]) => value !== null);
  const near = (x) => line.points.reduce((best, point) => (Math.abs(point[0] - x) < Math.abs(best[0] - x) ? point : best));
  const cut = ends.map(([x, value]) => [x, near(x)[1], near(x)[2], value]);
  const inside = line.points.filter(([x]) => x > low && x < high);
  const points = [...cut, ...inside].sort((a, b) => a[0] - b[0]);
  return { ...line, points, band: line.band?.filter(([x]) => x >= low && x <= high) };
}
return { smoothed, interpolated, meanCurve, commonName, partWithin };
})();
// drawing/chart.js
const $module56 = (() => {
const { el, svg } = $module0;
const { formatValue } = $module7;
const { followDrag } = $module54;
const { drawAxes, drawBand, drawLine, drawUpright, makeScales, roomForNumbers, tint, valueBounds } = $module44;
const { partWithin } = $module55;
// A chart with a legend of the values at the chosen epoch or under the pointer. A click into the plot chooses an epoch, a
// drag enlarges what it passes over, a click on a name of the legend hides its line.







function nearestPoint(points, x) {
  let low = 0;
  let high = points.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (points[middle][0] < x) low = middle;
    else high = middle;
  }
  return Math.abs(points[low][0] - x) <= Math.abs(points[high][0] - x) ? points[low] : points[high];
}

function makeLegend(lines, format, ontoggle) {
  const values = lines.map(() => el("output", { class: "legend-value" }));
  const rows = lines.map((line, i) => {
    const swatch = el("span", { class: `swatch dash-${line.dash}` });
    const name = el("span", { class: "legend-name", title: line.title }, line.label);
    const press = () => ontoggle(line.key);
    const words = line.hidden ? "Show this line" : "Hide this line";
    const button = el("button", { type: "button", class: "link", "aria-pressed": String(!line.hidden), title: words, onclick: press }, swatch, name);
    return tint(el("li", { class: line.hidden ? "hidden-line" : null }, button, values[i]), line.colour);
  });
  const tell = (at) => {
    lines.forEach((line, i) => {
      const known = at !== null && !line.hidden && line.points.length;
      values[i].textContent = known ? format(nearestPoint(line.points, at)[3], true) : "";
    });
  };
  return { element: el("ul", { class: "legend" }, rows), tell };
}

// lines: [{key, label, colour, dash: 0-3, hidden, points: [[x, epochs trained, step, value]], band: [[x, low, high]]}];
// axis: {words, log}; marks: x at which training was resumed; onpick(epochs trained); span: [low, high] of the axis that is
// shown, or null for all of it; onspan(low, high).
function makeChart({ title, lines, marks, axis, format, onpick, ontoggle, span = null, onspan = null }) {
  const plot = svg("svg", { class: "plot", role: "img", "aria-label": `${title}, by ${axis.words}` });
  const where = el("span", { class: "muted where" });
  const legend = makeLegend(lines, format, ontoggle);
  const head = el("figcaption", {}, el("h3", {}, title), where);
  const seen = lines.filter((line) => !line.hidden && line.points.length);
  const drawn = span ? seen.map((line) => partWithin(line, span)).filter((line) => line.points.length) : seen;
  const xs = span ?? [0, drawn.reduce((most, line) => Math.max(most, line.points[line.points.length - 1][0]), 1e-9)];
  const ys = valueBounds(drawn, axis.log);
  const left = roomForNumbers(ys, axis.log, format);
  let chosen = null;
  let hovered = null;
  let scales = null;

  function refresh() {
    const at = hovered ?? chosen;
    legend.tell(at);
    const point = at === null || !drawn.length ? null : nearestPoint(drawn[0].points, at);
    where.textContent = point ? `epoch ${formatValue(Number(point[1].toFixed(2)))} · step ${point[2]}` : "";
    if (!plot.clientWidth) return;
    scales = makeScales(plot.clientWidth, plot.clientHeight, xs, ys, axis.log, left);
    plot.setAttribute("viewBox", `0 0 ${scales.width} ${scales.height}`);
    plot.replaceChildren(
      ...drawAxes(scales, format, axis.words),
      ...marks.filter((mark) => mark >= xs[0] && mark <= xs[1]).map((mark) => drawUpright(scales, mark, "resumed", "training resumed here")),
      ...drawn.filter((line) => line.band).map((line) => drawBand(scales, line)),
      ...drawn.map((line) => drawLine(scales, line)),
    );
    if (at === null || at < xs[0] || at > xs[1]) return;
    plot.append(drawUpright(scales, at, hovered === null ? "chosen" : "cursor"));
    for (const line of drawn) {
      const [x, , , y] = nearestPoint(line.points, at);
      plot.append(tint(svg("circle", { class: "dot", cx: scales.x(x), cy: scales.y(y), r: 3.5 }), line.colour));
    }
  }

  function hover(event) {
    hovered = event && scales ? scales.epochAt(event.clientX - plot.getBoundingClientRect().left) : null;
    refresh();
  }
  plot.addEventListener("pointermove", hover);
  plot.addEventListener("pointerleave", () => hover(null));
  const dragged = onspan && followDrag(plot, (x) => scales?.epochAt(x) ?? null, onspan);
  plot.addEventListener("click", (event) => {
    if (dragged?.()) return;
    hover(event);
    if (hovered !== null && drawn.length) onpick(axis.epoch(hovered, nearestPoint(drawn[0].points, hovered)));
  });
  new ResizeObserver(refresh).observe(plot);
  // epochs trained, which the axis shows at the nearest point that has them
  const choose = (epochs) => {
    const near = epochs === null || !drawn.length ? null : axis.at(epochs, drawn[0].points);
    chosen = near;
    refresh();
  };
  return { element: el("figure", { class: "chart" }, head, plot, legend.element), choose };
}
return { makeChart };
})();
// core/csv.js
const $module57 = (() => {
// Tables for other programs, as RFC 4180 writes them.

// Prefixes text that a spreadsheet would interpret as a formula with an apostrophe.
function csvCell(value) {
  if (value === null || value === undefined) return "";
  const text = typeof value === "number" ? String(value) : String(value).replace(/^[=+\-@\t\r]/, "'$&");
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function csvOf(lines) {
  return `${lines.map((row) => row.map(csvCell).join(",")).join("\r\n")}\r\n`;
}
return { csvCell, csvOf };
})();
// panels/curve_table.js
const $module58 = (() => {
const { csvOf } = $module57;
const { state } = $module4;
// The curves as a table for other programs: a row for each epoch and step, a column for each curve that is shown, with
// its values as they were logged. Smoothed values have a column of their own, means one more for the deviation.




// The columns of a line, see `curvesAsCsv`: [{head, points: [[x, epochs trained, step, value]]}].
function columnsOf(line) {
  const soft = state.smoothing ? ", smoothed " + state.smoothing : "";
  if (line.band) {
    const deviations = line.points.map(([x, epoch, step, mean], i) => [x, epoch, step, line.band[i][2] - mean]);
    return [
      { head: `${line.name}: mean${soft}`, points: line.points },
      { head: `${line.name}: standard deviation${soft}`, points: deviations },
    ];
  }
  const logged = { head: line.name, points: line.raw };
  return soft ? [logged, { head: `${line.name}${soft}`, points: line.points }] : [logged];
}

// lines: [{name, raw, points, band}], points as in charts; raw: as logged; span: [low, high] of the axis, or null.
function curvesAsCsv(lines, span) {
  const inTime = state.by === "time"; // each run has its own
  const columns = lines.flatMap(columnsOf);
  const rows = new Map();
  columns.forEach(({ points }, place) => {
    for (const [x, epoch, step, value] of points) {
      if (span && !(x >= span[0] && x <= span[1])) continue;
      const at = inTime ? [epoch, step, x] : [epoch, step];
      const key = at.join();
      if (!rows.has(key)) rows.set(key, { at, values: columns.map(() => null) });
      rows.get(key).values[place] = value;
    }
  });
  const order = (a, b) => a.at[0] - b.at[0] || a.at[1] - b.at[1] || (a.at[2] ?? 0) - (b.at[2] ?? 0);
  const body = [...rows.values()].sort(order).map(({ at, values }) => [...at, ...values]);
  return csvOf([["epoch", "step", ...(inTime ? ["minutes"] : []), ...columns.map(({ head }) => head)], ...body]);
}
return { curvesAsCsv };
})();
// panels/differences.js
const $module59 = (() => {
const { breakable, el } = $module0;
const { report } = $module3;
const { shortRunName } = $module19;
const { differingSettings } = $module53;
// A table of the settings in which several runs differ: a row for each setting, a column for each run.






const MOST_OPEN = 12; // more rows are folded away until the reader opens them

function makeDifferences() {
  const names = differingSettings();
  const runs = report.runs.filter((run) => !run.export);
  const count = `${names.length} setting${names.length === 1 ? "" : "s"}`;
  const summary = el("summary", {}, names.length ? `What the configurations differ in: ${count}` : "All runs have the same configuration");
  if (!names.length) return el("p", { class: "muted" }, summary.textContent);
  const head = el("tr", {}, el("th", { scope: "col" }, "Setting"), runs.map((run) => el("th", { scope: "col", title: run.name }, breakable(shortRunName(run)))));
  const rows = names.map((name) =>
    el("tr", {}, el("th", { scope: "row" }, breakable(name)), runs.map((run) => el("td", {}, el("bdi", {}, run.settings?.[name] ?? "–")))),
  );
  const table = el("table", {}, el("thead", {}, head), el("tbody", {}, rows));
  const open = names.length <= MOST_OPEN;
  return el("details", { class: "differences", open }, summary, el("div", { class: "table-frame", tabindex: "0" }, table));
}
return { makeDifferences };
})();
// panels/runs.js
const $module60 = (() => {
const { pushButton } = $module5;
const { breakable, el } = $module0;
const { formatCount, formatPercent, formatValue, isShare, metricWords } = $module7;
const { report } = $module3;
const { change, state, watch } = $module4;
const { makeDifferences } = $module59;
// Compares several runs: networks, costs and results, and their configurations. A click on a title sorts, a check mark
// takes a run out of the curves.








// The name under which a whole run is among what the curves hide.
const hiddenRun = (number) => `run:${number}`;

function showInCurves(run) {
  const key = hiddenRun(report.runs.indexOf(run));
  const toggle = (event) =>
    change({ hidden: event.target.checked ? state.hidden.filter((one) => one !== key) : [...state.hidden, key] });
  const words = `Show ${run.name} in the curves`;
  return el("input", { type: "checkbox", checked: !state.hidden.includes(key), onchange: toggle, "aria-label": words, title: words, "data-run": key });
}

const RUN_COLUMNS = [
  { title: "Run", value: (run) => run.name },
  { title: "Backbone", value: (run) => run.costs.backbone },
  { title: "Attention", value: (run) => run.costs.attention },
  { title: "Parameters", value: (run) => run.costs.parameters, format: formatCount },
  { title: "FLOPs", value: (run) => run.costs.flops, format: formatCount },
  { title: "Images/s", value: (run) => run.costs.images_per_second, format: formatValue },
  { title: "Training", value: (run) => run.costs.training_seconds, format: (seconds) => `${formatValue(seconds)} s` },
  { title: "Best val. accuracy", value: (run) => bestOf(run.series.val_accuracy), format: (share) => formatPercent(share, 2) },
];

function bestOf(points) {
  return points?.length ? Math.max(...points.map((point) => point[2])) : null;
}

function testColumns() {
  const names = [...new Set(report.runs.flatMap((run) => run.test.map(([name]) => name)))];
  return names.map((name) => ({
    title: `Test ${name.replaceAll("_", " ")}`,
    words: metricWords(name),
    value: (run) => run.test.find(([other]) => other === name)?.[1] ?? null,
    format: (value) => (isShare(name, value) ? formatPercent(value, 2) : formatValue(value)),
  }));
}

function sortedRuns(column, down) {
  const known = (run) => column.value(run) !== null && column.value(run) !== undefined;
  const compare = (a, b) => {
    const [one, two] = [column.value(a), column.value(b)];
    return typeof one === "number" ? one - two : String(one).localeCompare(String(two));
  };
  return [...report.runs].sort((a, b) =>
    known(a) !== known(b) ? (known(a) ? -1 : 1) : known(a) ? (down ? -1 : 1) * compare(a, b) : 0,
  );
}

function makeRuns() {
  if (report.runs.filter((run) => !run.export).length < 2) return null;
  const columns = [...RUN_COLUMNS, ...testColumns()].filter((column) =>
    report.runs.some((run) => column.value(run) !== null && column.value(run) !== undefined),
  );
  const [head, body] = [el("tr"), el("tbody")];
  let sorting = null;
  let down = true;
  function cell(column, run) {
    const value = column.value(run);
    if (column.title === "Run") {
      const choose = () => change({ run: report.runs.indexOf(run) });
      return el("th", { scope: "row" }, el("button", { type: "button", class: "link", onclick: choose }, breakable(run.name)));
    }
    const text = value === null || value === undefined || value === "" ? "–" : (column.format ?? String)(value);
    return el("td", { class: column.format ? "number" : null }, text);
  }
  function draw() {
    const runs = sorting ? sortedRuns(sorting, down) : report.runs;
    const focused = document.activeElement?.dataset?.run;
    head.replaceChildren(
      el("th", { scope: "col" }, "Curves"),
      ...columns.map((column) => {
        const way = sorting === column ? (down ? "descending" : "ascending") : "none";
        const press = () => {
          down = sorting === column ? !down : true;
          sorting = column;
          draw();
        };
        const mark = way === "none" ? "" : down ? " ↓" : " ↑";
        const kind = column.format ? "number" : null;
        return el("th", { scope: "col", class: kind, title: column.words, "aria-sort": way }, pushButton(`${column.title}${mark}`, press, { class: "link" }));
      }),
    );
    body.replaceChildren(
      ...runs.map((run) => {
        const chosen = report.runs.indexOf(run) === state.run;
        const mark = el("td", {}, !run.export && showInCurves(run));
        return el("tr", { class: chosen ? "chosen" : null }, mark, columns.map((column) => cell(column, run)));
      }),
    );
    if (focused) body.querySelector(`[data-run="${CSS.escape(focused)}"]`)?.focus();
  }
  watch((values) => {
    if ("run" in values || "hidden" in values) draw();
  });
  draw();
  return el(
    "section",
    { "aria-labelledby": "runs" },
    el("h2", { id: "runs" }, "Runs"),
    el("div", { class: "table-frame", tabindex: "0" }, el("table", { class: "runs" }, el("thead", {}, head), body)),
    makeDifferences(),
  );
}
return { hiddenRun, makeRuns };
})();
// panels/curves.js
const $module61 = (() => {
const { labelled, pushButton, rangeControl, select, toggleControl } = $module5;
const { el } = $module0;
const { aChoice, aNumber, aSwitch, aText, someTexts } = $module2;
const { formatPercent, formatValue, metricName } = $module7;
const { report } = $module3;
const { shortRunName } = $module19;
const { differingSettings } = $module53;
const { addField, change, limitFields, state, watch } = $module4;
const { makeChart } = $module56;
const { commonName, meanCurve, smoothed } = $module55;
const { curvesAsCsv } = $module58;
const { hiddenRun } = $module60;
// The training curves: which metrics share a chart, over what, and the colours of their lines.














addField("by", aChoice("epoch", ["epoch", "step", "time"]));
addField("smoothing", aNumber(0, 0, 0.99));
addField("log", aSwitch(false));
addField("band", aSwitch(false));
addField("hidden", someTexts());
addField("span", aText("")); // the part of the axis that is shown, "2.5:7"
addField("grouped", aText("")); // the setting that runs of one mean share; otherwise all settings but the seed
limitFields(["grouped"], () => !state.grouped || differingSettings().includes(state.grouped));

const GROUPS = [
  { title: "Loss", fits: (name) => /loss/.test(name), format: formatValue },
  {
    title: "Accuracy",
    fits: (name) => /acc|top_?\d|_exact$/.test(name),
    format: (value, exact) => formatPercent(value, exact ? 1 : 0),
  },
  {
    title: "Character error rate",
    fits: (name) => /_cer$/.test(name),
    format: (value, exact) => formatPercent(value, exact ? 1 : 0),
  },
  { title: "Learning rate", fits: (name) => /^lr\b|^lr[-_/]/.test(name), format: formatValue },
];

// Arms of a study are many lines: each metric has a chart of its own.
function apart(names) {
  return names.map((name) => ({ title: metricName(name), names: [name], format: GROUPS.find((group) => group.fits(name))?.format ?? formatValue }));
}

function chartGroups() {
  const names = [...new Set(report.runs.flatMap((run) => Object.keys(run.series)))];
  if (report.study) return apart(names);
  const groups = GROUPS.map((group) => ({ ...group, names: names.filter((name) => group.fits(name)) }));
  const rest = names.filter((name) => !GROUPS.some((group) => group.fits(name)));
  groups.push(...rest.map((name) => ({ title: metricName(name), names: [name], format: formatValue })));
  return groups.filter((group) => group.names.length);
}

// One run: a colour for each metric. Several: a colour for each run, a dash for each metric; training is dashed.
function dashOf(group, name, several) {
  if (!several) return 0;
  if (name.startsWith("train")) return 1;
  const place = group.names.filter((other) => !other.startsWith("train")).indexOf(name);
  return [0, 2, 3][place % 3];
}

function colourOf(group, name, number, several) {
  if (several) return number;
  const first = group.names.find((other) => other.startsWith("train"));
  if (group.names.length === 1 || name === first) return 0;
  return group.names.filter((other) => other !== first).indexOf(name) + 1;
}

const MINUTES = 60;

// Points with the x of the chosen axis; seconds are those of the whole training, spread evenly over its epochs.
function placed(run, points) {
  const total = Math.max(...Object.values(run.series).map((series) => series[series.length - 1]?.[0] ?? 0)) || 1;
  const minutes = (run.costs.training_seconds ?? 0) / MINUTES / total;
  const x = { epoch: ([epoch]) => epoch, step: ([, step]) => step, time: ([epoch]) => epoch * minutes }[state.by];
  return points.map((point) => [x(point), ...point]);
}

function runLine(group, run, number, name) {
  const several = report.runs.length > 1;
  const metric = group.names.length === 1 ? group.title : metricName(name);
  const raw = placed(run, run.series[name]);
  const points = raw.filter(([, , , value]) => !state.log || value > 0);
  return {
    key: `${number}.${name}`,
    name: several ? `${run.name}: ${name}` : name,
    raw,
    label: !several ? metric : group.names.length === 1 ? shortRunName(run) : `${shortRunName(run)} · ${metric}`,
    title: several ? run.name : null,
    colour: colourOf(group, name, number, several),
    dash: dashOf(group, name, several),
    points: smoothed(points, state.smoothing),
  };
}

const isShown = (number) => !state.hidden.includes(hiddenRun(number));

// Runs that differ in their seed alone or share a setting, each group under the number of its first run.
function runGroups(runs, setting = "") {
  const groups = new Map();
  runs.forEach((run, number) => {
    const key = (setting ? run.settings?.[setting] : run.seeds) ?? `alone ${number}`;
    groups.set(key, [...(groups.get(key) ?? []), { run, number }]);
  });
  return [...groups.values()];
}

function groupName(members, setting) {
  if (setting) return `${setting} ${members[0].run.settings?.[setting] ?? "–"}, ${members.length} runs`;
  return `${members[0].run.group ?? commonName(members.map(({ run }) => run.name))}, ${members.length} seeds`;
}

function meanLine(group, members, place, name) {
  const lines = members.map(({ run, number }) => runLine(group, run, number, name));
  if (lines.length === 1) return { ...lines[0], colour: place };
  const about = groupName(members, state.grouped);
  const label = group.names.length === 1 ? about : `${about} · ${metricName(name)}`;
  const mean = meanCurve(lines.map((line) => line.points));
  return { ...lines[0], title: null, key: `mean ${lines[0].key}`, name: `${about}: ${name}`, label, colour: place, ...mean };
}

function linesOf(group) {
  const known = (run, name) => run.series[name]?.length;
  const lines = state.band
    ? runGroups(report.runs, state.grouped).flatMap((members, place) =>
        group.names.flatMap((name) => {
          const having = members.filter(({ run, number }) => isShown(number) && known(run, name));
          return having.length ? [meanLine(group, having, place, name)] : [];
        }),
      )
    : report.runs.flatMap((run, number) =>
        group.names.filter((name) => isShown(number) && known(run, name)).map((name) => runLine(group, run, number, name)),
      );
  return lines.map((line) => ({ ...line, hidden: state.hidden.includes(line.key) }));
}

const AXES = {
  epoch: { words: "epochs trained", epoch: (at) => at, at: (epochs) => epochs },
  step: { words: "steps", epoch: (at, point) => point[1], at: xOfEpoch },
  time: { words: "minutes, at the mean speed", epoch: (at, point) => point[1], at: xOfEpoch },
};

// The x of the point nearest to a number of epochs trained.
function xOfEpoch(epochs, points) {
  const off = (point) => Math.abs(point[1] - epochs);
  return points.reduce((best, point) => (off(point) < off(best) ? point : best))[0];
}

// [low, high] of the chosen axis, or null.
function chosenSpan() {
  const [low, high] = state.span.split(":").map(Number);
  return Number.isFinite(low) && high > low ? [low, high] : null;
}

function drawCharts() {
  const span = chosenSpan();
  const onspan = (low, high) => change({ span: [low, high].map((x) => Number(x.toPrecision(5))).join(":") });
  const toggle = (key) =>
    change({ hidden: state.hidden.includes(key) ? state.hidden.filter((one) => one !== key) : [...state.hidden, key] });
  return chartGroups().map((group) =>
    makeChart({
      title: group.title,
      lines: linesOf(group),
      marks: report.runs.length === 1 && state.by === "epoch" ? report.runs[0].resumed : [],
      axis: { ...AXES[state.by], log: state.log },
      format: group.format,
      onpick: (epochs) => change({ epoch: Math.max(0, Math.ceil(epochs - 1e-6) - 1) }),
      ontoggle: toggle,
      span,
      onspan,
    }),
  );
}

// Fields for the ends of the axis: what a drag does, for those who do not drag. An empty one leaves its end as it is.
function makeEnds() {
  const whole = () => Math.max(...report.runs.flatMap((run) => Object.values(run.series).map((points) => placed(run, points.slice(-1))[0]?.[0] ?? 0)));
  const set = () => {
    const [low, high] = fields.map((field) => field.valueAsNumber);
    const span = [low || 0, Number.isFinite(high) ? high : whole()];
    change({ span: fields.every((field) => field.value === "") || span[0] >= span[1] ? "" : span.join(":") });
  };
  const fields = ["from", "to"].map((name) => el("input", { type: "number", step: "any", name, class: "end", onchange: set }));
  const show = () => {
    const span = chosenSpan() ?? ["", ""];
    fields.forEach((field, i) => document.activeElement !== field && (field.value = span[i]));
  };
  watch(show);
  show();
  return [labelled("Axis from", fields[0]), labelled("Axis to", fields[1])];
}

// What the charts show, as a table; see `curvesAsCsv`.
function shownCurvesAsCsv() {
  return curvesAsCsv(chartGroups().flatMap((group) => linesOf(group).filter((line) => !line.hidden)), chosenSpan());
}

// What is averaged: runs that differ in their seed alone, or all that share a setting, in whatever else they differ.
function meanWords() {
  const over = state.grouped ? `the runs that share ${state.grouped}` : "seeds";
  return `Mean over ${over} ± standard deviation`;
}

function makeTools() {
  const trained = report.runs.filter((run) => !run.export);
  const timed = trained.every((run) => run.costs.training_seconds);
  const shared = (name) => runGroups(trained, name).some((members) => members.length > 1);
  const settings = differingSettings().filter((name) => shared(name) && !/(^|\.)seed$/.test(name));
  const means = [["", "all settings but the seed"], ...settings.map((name) => [name, name])];
  const axes = [["epoch", "epochs"], ["step", "steps"], ...(timed ? [["time", "time"]] : [])];
  const whole = pushButton("Whole axis", () => change({ span: "" }));
  const mean = toggleControl("band", meanWords);
  const show = () => {
    whole.hidden = !chosenSpan();
    mean.hidden = !shared(state.grouped); // no two runs belong together
  };
  watch(show);
  show();
  return el(
    "div",
    { class: "panel-tools" },
    select("by", "Over", axes, (by) => change({ by, span: "" })),
    rangeControl("smoothing", "Smoothing", 0, 0.99, 0.01, (value) => (value ? value.toFixed(2) : "off")),
    toggleControl("log", "Logarithmic"),
    settings.length > 0 && select("grouped", "Group by", means, (grouped) => change({ grouped, band: true })),
    mean,
    makeEnds(),
    whole,
  );
}

const CURVES_STATE = ["by", "smoothing", "log", "band", "hidden", "grouped", "span"];

function makeCurves() {
  if (report.runs.every((run) => run.export)) return null;
  const place = el("div", { class: "charts" });
  let charts = [];
  const choose = () => {
    for (const chart of charts) chart.choose(state.epoch === null ? null : state.epoch + 1);
  };
  const draw = () => {
    charts = drawCharts();
    place.replaceChildren(...charts.map((chart) => chart.element));
    choose();
  };
  watch((values) => {
    if (CURVES_STATE.some((name) => name in values)) draw();
    else if ("epoch" in values || "run" in values) choose();
  });
  draw();
  const empty = el("p", { class: "empty" }, "No curves yet: nothing has been logged under metrics/.");
  const content = charts.length ? [makeTools(), place] : [empty];
  return el("section", { "aria-labelledby": "curves" }, el("h2", { id: "curves" }, "Curves"), content);
}
return { shownCurvesAsCsv, makeCurves };
})();
// panels/masking.js
const $module62 = (() => {
const { resample } = $module28;
// Deletes and inserts pixels in the same way as the insertion and deletion curves.



// Ranks of the pixels, 0 for the most salient; ties keep the order of pixels.
function pixelRanks(map, height, width) {
  const { values } = resample(map, height, width);
  const order = Array.from(values.keys()).sort((a, b) => values[b] - values[a] || a - b);
  const ranks = new Uint32Array(order.length);
  order.forEach((pixel, place) => (ranks[pixel] = place));
  return ranks;
}

// One colour channel, blurred along rows and columns; outside of the image it is the mean colour.
function blurChannel(values, height, width, kernel) {
  const reach = kernel.length >> 1;
  const pass = (from, along, across, stride, jump) => {
    const into = new Float32Array(from.length);
    for (let line = 0; line < across; line++) {
      for (let at = 0; at < along; at++) {
        let sum = 0;
        for (let k = -reach; k <= reach; k++) {
          if (at + k < 0 || at + k >= along) continue;
          sum += kernel[k + reach] * from[line * jump + (at + k) * stride];
        }
        into[line * jump + at * stride] = sum;
      }
    }
    return into;
  };
  return pass(pass(values, height, width, width, 1), width, height, 1, width);
}

function blurred(pixels, height, width, mean, kernel) {
  const out = new Uint8ClampedArray(pixels.length).fill(255);
  for (let channel = 0; channel < 3; channel++) {
    const away = Float32Array.from({ length: height * width }, (_, i) => pixels[4 * i + channel] - 255 * mean[channel]);
    const soft = blurChannel(away, height, width, kernel);
    for (let i = 0; i < soft.length; i++) out[4 * i + channel] = soft[i] + 255 * mean[channel];
  }
  return out;
}

function meanColoured(length, mean) {
  const out = new Uint8ClampedArray(length).fill(255);
  for (let i = 0; i < length; i += 4) for (let c = 0; c < 3; c++) out[i + c] = Math.round(255 * mean[c]);
  return out;
}

// The image with `count` pixels replaced by the mean colour, or inserted into its blurred version.
function maskImage(image, ranks, count, kind, { mean, kernel }) {
  const { width, height, data } = image;
  const other = kind === "deletion" ? meanColoured(data.length, mean) : blurred(data, height, width, mean, kernel);
  const [first, rest] = kind === "deletion" ? [other, data] : [data, other];
  const out = new ImageData(width, height);
  for (let i = 0; i < ranks.length; i++) {
    const from = ranks[i] < count ? first : rest;
    for (let c = 0; c < 4; c++) out.data[4 * i + c] = from[4 * i + c];
  }
  return out;
}
return { pixelRanks, maskImage };
})();
// panels/faithfulness.js
const $module63 = (() => {
const { makeCache } = $module14;
const { className } = $module21;
const { labelled, select } = $module5;
const { el, svg } = $module0;
const { aChoice, aNumber, aText } = $module2;
const { columnName, epochName, formatPercent, formatValue, isolated } = $module7;
const { loadPicture, loadRecordedMap, plainCache } = $module16;
const { addField, change, currentRun, state, watch } = $module4;
const { maskImage, pixelRanks } = $module62;
const { sampleStepper } = $module48;
// Does a map show what the network uses? Curves of its confidence while pixels are deleted or inserted in the map's
// order, with a slider that masks the image in the same way, and a table with uninformed baseline maps.












addField("judged", aText(""));
addField("kind", aChoice("deletion", ["deletion", "insertion"]));
addField("masked", aNumber(0.2, 0, 1));

const FAITH_PLOT = { width: 460, height: 250, left: 46, right: 20, top: 10, bottom: 34 };
const BASELINE_NAMES = { random: "random map", centre: "centre of the image" };

function nameOf(title) {
  return BASELINE_NAMES[title] ?? columnName({ title });
}

function loadFaithfulness(run) {
  const hash = run.panels?.faithfulness;
  return hash ? plainCache.get(`${run.folder}/faithfulness`, hash, 1e5) : null;
}

function judgedTitle(found) {
  return found.curves[state.judged] ? state.judged : Object.keys(found.curves)[0];
}

function faithScales() {
  const { width, height, left, right, top, bottom } = FAITH_PLOT;
  return {
    x: (share) => left + share * (width - left - right),
    y: (p) => height - bottom - p * (height - top - bottom),
  };
}

function faithLine({ x, y }, points, name) {
  const last = points.length - 1;
  const text = points.map((p, i) => `${x(i / last).toFixed(1)},${y(p).toFixed(1)}`).join(" ");
  return svg("polyline", { class: `curve ${name}`, points: text });
}

function drawFaithCurves(found, title, sample, step) {
  const scales = faithScales();
  const { width, height, left, right, bottom, top } = FAITH_PLOT;
  const { x, y } = scales;
  const points = found.curves[title][state.kind].curve[sample];
  const at = step / (points.length - 1);
  const ticks = [0, 0.25, 0.5, 0.75, 1].map((tick) =>
    svg(
      "g",
      { class: "tick" },
      svg("line", { x1: left, x2: width - right, y1: y(tick), y2: y(tick) }),
      svg("text", { x: left - 6, y: y(tick) + 4, "text-anchor": "end" }, formatPercent(tick)),
      svg("text", { x: x(tick), y: height - bottom + 16, "text-anchor": "middle" }, formatPercent(tick)),
    ),
  );
  const baselines = Object.keys(found.baselines).map((name, i) =>
    faithLine(scales, found.baselines[name][state.kind].curve[sample], `dashed line-${6 + i}`),
  );
  const words = state.kind === "deletion" ? "pixels deleted" : "pixels inserted";
  return svg(
    "svg",
    { class: "faith-plot", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${state.kind} curve` },
    ticks,
    baselines,
    faithLine(scales, points, "line-0"),
    svg("line", { class: "chosen", x1: x(at), x2: x(at), y1: top, y2: height - bottom }),
    svg("circle", { class: "dot line-0", cx: x(at), cy: y(points[step]), r: 4 }),
    svg("text", { class: "axis", x: width - right, y: height - 3, "text-anchor": "end" }, words),
  );
}

function faithLegend(run, found, title, sample, step) {
  const curve = (group, name) => found[group][name][state.kind];
  const row = (group, name, label, colour, dashed) =>
    el(
      "li",
      { class: `line-${colour}` },
      el("span", { class: dashed ? "swatch dashed" : "swatch" }),
      el("span", { class: "legend-name" }, label),
      el("span", { class: "legend-value" }, formatPercent(curve(group, name).curve[sample][step], 1)),
      el("span", { class: "muted number" }, `AUC ${formatValue(curve(group, name).auc[sample])}`),
    );
  const explained = isolated(className(run, found.classes[sample]));
  return [
    el("p", { class: "muted hint" }, `Probability of ${explained}, the class predicted for the whole image; maps and network of ${epochName(found.epoch)}`),
    el(
      "ul",
      { class: "legend" },
      row("curves", title, nameOf(title), 0, false),
      Object.keys(found.baselines).map((name, i) => row("baselines", name, nameOf(name), 6 + i, true)),
    ),
  ];
}

function faithTable(found) {
  const kinds = { insertion: "Insertion AUC ↑", deletion: "Deletion AUC ↓" };
  const head = ["Map", ...Object.values(kinds)].map((text, i) =>
    el("th", { scope: "col", class: i ? "number" : null }, text),
  );
  const cell = ([mean, low, high]) =>
    el(
      "td",
      { class: "number" },
      formatValue(mean),
      el("span", { class: "interval muted" }, `${formatValue(low)}–${formatValue(high)}`),
    );
  const rows = found.table.map((row) =>
    el(
      "tr",
      { class: row.known ? null : "baseline", "data-map": row.name },
      el("th", { scope: "row" }, nameOf(row.name)),
      Object.keys(kinds).map((kind) => cell(row[kind])),
    ),
  );
  const words = `Means over ${found.classes.length} probe images with 95 % intervals (bootstrap over images), ${epochName(found.epoch)}`;
  const table = el("table", { class: "faith-table" }, el("caption", {}, words), el("thead", {}, el("tr", {}, head)), el("tbody", {}, rows));
  return el("div", { class: "table-frame", tabindex: "0" }, table);
}

const pictureCache = makeCache(64e6, async (key, run, sample) => {
  const url = await loadPicture(run, sample);
  if (!url) return { value: null, bytes: 0 };
  const picture = new Image();
  picture.src = url;
  await picture.decode();
  const [width, height] = run.probes[sample].size ?? [picture.naturalWidth, picture.naturalHeight];
  const canvas = el("canvas", { width, height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(picture, 0, 0, width, height);
  return { value: context.getImageData(0, 0, width, height), bytes: 4 * width * height };
});

async function paintMasked(canvas, run, found, title, sample, step) {
  const column = run.columns.find((one) => one.title === title);
  const snapshot = column && run.epochs.find((one) => one.epoch === found.epoch);
  const image = await pictureCache.get(`${run.folder}/${sample}`, run, sample);
  const map = snapshot && (await loadRecordedMap(snapshot, column, sample));
  if (!map || !image) return;
  const ranks = pixelRanks(map, image.height, image.width);
  canvas.width = image.width;
  canvas.height = image.height;
  canvas.getContext("2d").putImageData(maskImage(image, ranks, step * found.step, state.kind, found), 0, 0);
}

function scrubber(points, step) {
  return el("input", {
    type: "range",
    name: "masked",
    min: 0,
    max: points,
    value: step,
    "aria-label": `Fraction of the pixels: ${formatPercent(step / points)}`,
    oninput: (event) => change({ masked: Number(event.target.value) / points }),
  });
}

const FAITH_STATE = ["run", "judged", "kind", "masked", "sample"];

function makeFaithfulness() {
  const body = el("div", { class: "faith-body" });
  const maps = el("select", { name: "judged", onchange: () => change({ judged: maps.value }) });
  const kind = select("kind", "Curve", { deletion: "deletion", insertion: "insertion" });
  const tools = el("div", { class: "panel-tools" }, labelled("Map", maps), kind, sampleStepper());
  const title = el("h2", { id: "faithfulness" }, "Faithfulness");
  const section = el("section", { "aria-labelledby": "faithfulness" }, title, tools, body);
  let turn = 0;
  async function draw() {
    const run = currentRun();
    const now = ++turn;
    section.hidden = !run.panels?.faithfulness;
    const found = section.hidden ? null : await loadFaithfulness(run).catch(() => null);
    if (now !== turn || !found) return;
    const sample = Math.min(state.sample ?? 0, found.classes.length - 1);
    const chosen = judgedTitle(found);
    const points = found.curves[chosen][state.kind].curve[sample].length - 1;
    const step = Math.round(state.masked * points);
    const canvas = el("canvas", { class: "masked", role: "img", "aria-label": `The image, ${formatPercent(step / points)} of it masked` });
    await paintMasked(canvas, run, found, chosen, sample, step);
    if (now !== turn) return;
    maps.replaceChildren(...Object.keys(found.curves).map((name) => el("option", { value: name }, nameOf(name))));
    maps.value = chosen;
    const slider = scrubber(points, step);
    const focused = document.activeElement?.name === "masked";
    const share = el("output", { class: "masked-share" }, `${formatPercent(step / points)} ${state.kind === "deletion" ? "deleted" : "inserted"}`);
    body.replaceChildren(
      el("figure", { class: "masked-figure" }, canvas, slider, share),
      el("div", { class: "faith-curves" }, drawFaithCurves(found, chosen, sample, step), faithLegend(run, found, chosen, sample, step)),
      faithTable(found),
    );
    if (focused) slider.focus();
  }
  watch((values) => {
    if (FAITH_STATE.some((name) => name in values)) draw();
  });
  draw();
  return section;
}
return { makeFaithfulness };
})();
// panels/glimpses.js
const $module64 = (() => {
const { makeCache } = $module14;
const { className } = $module21;
const { rangeControl } = $module5;
const { el, svg } = $module0;
const { aNumber } = $module2;
const { epochName, isolated } = $module7;
const { loadPicture, loadScript } = $module16;
const { addField, change, currentRun, state, watch } = $module4;
const { loadPanel } = $module45;
const { panelFigure } = $module43;
const { sampleStepper } = $module48;
// Where a network looked, glimpse by glimpse: numbered boxes and their path over the image, and a slider over the steps.













addField("glimpse", aNumber(0, 0, 1e4)); // how many are shown; 0 shows all

const UNIT = 100; // of the drawing, for the longer side of the image

const glimpseCache = makeCache(8e6, async (key, hash) => ({ value: await loadScript(key, hash), bytes: 1e5 }));

function hasGlimpses(run) {
  return Object.keys(run.panels?.glimpses ?? {}).length > 0;
}

// The points and the boxes of one image's glimpses, in the unit of the drawing.
function glimpsesOf({ places, extents }, sample, [width, height]) {
  return places[sample].map(([x, y], step) => ({
    x: x * width,
    y: y * height,
    boxes: (extents?.[sample]?.[step] ?? []).map(([w, h]) => ({
      x: (x - w) * width,
      y: (y - h) * height,
      width: 2 * w * width,
      height: 2 * h * height,
    })),
  }));
}

function pathOf(glimpses) {
  return glimpses.map(({ x, y }, i) => `${i ? "L" : "M"}${x.toFixed(2)} ${y.toFixed(2)}`).join(" ");
}

function boxMark(box, scale, scales) {
  const { x, y, width, height } = box;
  return svg("rect", { x, y, width, height, class: "glimpse-box", "data-scale": scale, opacity: 1 - (0.6 * scale) / scales });
}

// One glimpse: its boxes, the finest the strongest, and its number at the place looked at.
function glimpseMark({ x, y, boxes }, step, shown) {
  const classes = step === shown - 1 ? "glimpse now" : "glimpse";
  return svg(
    "g",
    { class: classes, "data-step": step },
    boxes.map((box, scale) => boxMark(box, scale, boxes.length)),
    svg("circle", { cx: x, cy: y, r: 3.2, class: "glimpse-place" }),
    svg("text", { x, y: y + 1.5, class: "glimpse-number" }, String(step + 1)),
  );
}

function trueBox(run, sample, [width, height]) {
  const box = run.probes[sample].box;
  if (!box) return null;
  const [x0, y0, x1, y1] = box;
  const sides = { x: x0 * width, y: y0 * height, width: (x1 - x0) * width, height: (y1 - y0) * height };
  return svg("rect", { ...sides, class: "glimpse-truth" });
}

function drawing(run, sample, found, shown, label) {
  const [wide, high] = run.probes[sample].size ?? [1, 1];
  const size = [(UNIT * wide) / Math.max(wide, high), (UNIT * high) / Math.max(wide, high)];
  const seen = glimpsesOf(found, sample, size).slice(0, shown);
  const picture = el("img", { alt: "", draggable: "false" });
  loadPicture(run, sample).then((url) => (url ? (picture.src = url) : picture.remove()));
  const marks = svg(
    "svg",
    { viewBox: `0 0 ${size[0]} ${size[1]}`, role: "img", "aria-label": label, class: "glimpse-marks" },
    trueBox(run, sample, size),
    svg("path", { d: pathOf(seen), class: "glimpse-path" }),
    seen.map((one, step) => glimpseMark(one, step, shown)),
  );
  const frame = el("div", { class: "overlaid glimpse-frame" }, picture, marks);
  frame.style.aspectRatio = `${wide} / ${high}`;
  return frame;
}

function words(run, sample, found, shown) {
  const [x, y] = found.places[sample][shown - 1].map((share) => `${Math.round(100 * share)} %`);
  const label = run.probes[sample].label;
  const what = label === null || label === undefined ? "" : ` True class ${isolated(className(run, label))}.`;
  return `Glimpse ${shown} of ${found.places[sample].length}: ${x} from the left, ${y} from the top.${what}`;
}

function drawGlimpses(run, epoch, all, sample) {
  return Object.entries(all).map(([name, found]) => {
    const steps = found.places[sample].length;
    const shown = state.glimpse ? Math.min(state.glimpse, steps) : steps;
    const text = words(run, sample, found, shown);
    const title = `${name}, ${epochName(epoch)}`;
    return panelFigure(title, drawing(run, sample, found, shown, text), el("p", { class: "glimpse-words" }, text));
  });
}

const GLIMPSE_STATE = ["run", "epoch", "sample", "glimpse", "theme"];

function makeGlimpses() {
  const body = el("div", { class: "glimpse-body" });
  const slider = el("div", {});
  const tools = el("div", { class: "panel-tools" }, sampleStepper(), slider);
  const title = el("h2", { id: "glimpses" }, "Glimpses");
  const hint = "Numbers tell the order. The boxes are what one glimpse sees, the finest drawn strongest; dashes mark the true box.";
  const section = el("section", { "aria-labelledby": "glimpses" }, title, tools, el("p", { class: "muted hint" }, hint), body);
  let turn = 0;
  let most = 0;
  async function draw() {
    const run = currentRun();
    const now = ++turn;
    section.hidden = !hasGlimpses(run);
    if (section.hidden) return;
    const loaded = await loadPanel(run, "glimpses", glimpseCache).catch(() => null);
    if (now !== turn || !loaded) return;
    const sample = Math.min(state.sample ?? 0, run.probes.length - 1);
    const steps = Math.max(...Object.values(loaded.found).map((found) => found.places[sample].length));
    if (steps !== most) {
      most = steps;
      const shown = (value) => (value && value < steps ? `first ${value} of ${steps}` : `all ${steps}`);
      const move = (value) => change({ glimpse: value === steps ? 0 : value });
      slider.replaceChildren(rangeControl("glimpse", "Glimpses", 1, steps, 1, shown, move));
    }
    const field = slider.querySelector("input");
    field.value = state.glimpse || steps;
    body.replaceChildren(...drawGlimpses(run, loaded.epoch, loaded.found, sample));
  }
  watch((values) => {
    if (GLIMPSE_STATE.some((name) => name in values)) draw();
  });
  draw();
  return section;
}
return { hasGlimpses, makeGlimpses };
})();
// panels/labels.js
const $module65 = (() => {
const { className } = $module21;
const { select } = $module5;
const { el } = $module0;
const { aChoice } = $module2;
const { epochName, formatPercent } = $module7;
const { plainCache } = $module16;
const { addField, currentRun, state, watch } = $module4;
const { colourTable } = $module8;
const { paintHeatmap } = $module28;
const { hideReadout, showReadout } = $module12;
// Images with several classes: what was decided of each class, and which classes occur together.












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
    el("th", { scope: "row" }, className(run, index)),
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
    const words =
      row === column
        ? `${images[place]} images with ${className(run, row)}`
        : `${images[place]} images with ${className(run, row)} and ${className(run, column)}: ` +
          `${formatPercent(values[place], 1)} of those with ${className(run, row)}`;
    showReadout(event, words);
  });
  canvas.addEventListener("pointerleave", hideReadout);
  const names = (side) =>
    classes <= MOST_NAMED &&
    el(
      "ol",
      { class: `names-${side}`, "aria-hidden": "true" },
      Array.from({ length: classes }, (_, i) => el("li", {}, el("span", {}, className(run, i)))),
    );
  return el(
    "figure",
    { class: "confusion" },
    el("span", { class: "axis-y muted" }, "images with"),
    names("y"),
    canvas,
    names("x"),
    el("span", { class: "axis-x muted" }, "that also have"),
  );
}

function pairs(run, title, entries, counts, between, none) {
  const most = [...entries].sort((a, b) => b[2] - a[2]).slice(0, MOST_PAIRS);
  if (!most.length) return el("p", { class: "muted" }, none);
  const rows = most.map(([first, second, count]) =>
    el(
      "li",
      {},
      el("span", {}, `${className(run, first)} ${between} ${className(run, second)}`),
      el("span", { class: "number muted" }, `${count} of ${counts.true[first]}`),
    ),
  );
  return el("div", { class: "pairs" }, el("h3", {}, title), el("ol", {}, rows));
}

function options({ panels }) {
  const some = Object.keys(panels?.labels ?? {}).length;
  return { ...(panels?.testedLabels && { test: "test split" }), ...(some && { validation: "validation, this epoch" }) };
}

function makeLabels() {
  const body = el("div", { class: "confusion-body" });
  const words = el("p", { class: "muted counted" });
  const choice = select("labelsOf", "Counted on", options);
  const head = el("div", { class: "section-line" }, el("h2", { id: "labels" }, "Classes of each image"), choice);
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
return { makeLabels };
})();
// panels/usage.js
const $module66 = (() => {
const { select } = $module5;
const { el } = $module0;
const { aChoice } = $module2;
const { columnName, formatPercent } = $module7;
const { addField, change, currentRun, state } = $module4;
const { makeChart } = $module56;
// How much each block is used: by how much it changes its input, and over what its factor varies; at the end on
// validation images as a table, and on the recorded images over the epochs as curves.








const COLUMNS = [
  ["change", "Changes its input by"],
  ["over_images", "Spread over images"],
  ["over_channels", "Spread over channels"],
  ["over_positions", "Spread over positions"],
];

addField("used", aChoice("change", COLUMNS.map(([name]) => name)));

// The curves of one measure, a line for each block: [{key, label, colour, dash, hidden, points}].
function usageLines(run, measure, hidden = []) {
  const blocks = [...new Set(run.epochs.flatMap((snapshot) => Object.keys(snapshot.blocks ?? {})))];
  return blocks.map((block, i) => ({
    key: `used.${block}`,
    label: columnName({ title: block }).replace(/\.attention$/, ""),
    colour: i,
    dash: 0,
    hidden: hidden.includes(`used.${block}`),
    points: run.epochs.flatMap(({ epoch, step, blocks: known }) => {
      const value = known?.[block]?.[measure];
      return value === undefined ? [] : [[epoch + 1, epoch + 1, step ?? epoch + 1, value]];
    }),
  }));
}

// A chart of the chosen run that `draw` brings up to date; it is hidden where fewer than two epochs were measured.
function makeUsageChart() {
  const place = el("div", {});
  const measure = select("used", "Measure", COLUMNS);
  const element = el("div", { class: "usage-over-epochs", hidden: true }, el("div", { class: "panel-tools" }, measure), place);
  function draw() {
    const lines = usageLines(currentRun(), state.used, state.hidden);
    element.hidden = !lines.some((line) => line.points.length > 1);
    if (element.hidden) return;
    const most = Math.max(...lines.flatMap((line) => line.points.map((point) => point[3])));
    const digits = most < 0.02 ? 2 : most < 0.1 ? 1 : 0; // of the axis
    const toggle = (key) =>
      change({ hidden: state.hidden.includes(key) ? state.hidden.filter((one) => one !== key) : [...state.hidden, key] });
    const chart = makeChart({
      title: `Use of the blocks: ${COLUMNS.find(([name]) => name === state.used)[1].toLowerCase()}`,
      lines,
      marks: [],
      axis: { words: "epochs trained", log: false, epoch: (at) => at, at: (epochs) => epochs },
      format: (value, exact) => formatPercent(value, exact ? 2 : digits),
      onpick: (epochs) => change({ epoch: Math.round(epochs) - 1 }),
      ontoggle: toggle,
    });
    place.replaceChildren(chart.element);
    chart.choose(state.epoch === null ? null : state.epoch + 1);
  }
  return { element, draw };
}

// A table of the blocks for which the run measured it; nothing without any.
function usageTable({ sites }) {
  const known = sites.filter((site) => site.change !== undefined);
  if (!known.length) return null;
  const most = Math.max(...known.map((site) => site.change), 1e-9);
  const head = ["Block", ...COLUMNS.map(([, title]) => title)].map((text, i) =>
    el("th", { scope: "col", class: i ? "number" : null }, text),
  );
  const cell = (site, [name], i) => {
    const value = site[name];
    const text = el("span", {}, value === undefined ? "–" : formatPercent(value, 1));
    if (i) return el("td", { class: "number" }, text);
    const bar = el("i");
    bar.style.width = `${(100 * value) / most}%`;
    return el("td", { class: "number with-bar" }, bar, text);
  };
  const rows = known.map((site) =>
    el("tr", {}, el("th", { scope: "row" }, `${site.label} ${site.place} ${site.name}`), COLUMNS.map((column, i) => cell(site, column, i))),
  );
  const words = "How much each block is used: where it hardly changes its input, or by one factor everywhere, its maps mean little";
  const table = el("table", { class: "usage-table" }, el("caption", {}, words), el("thead", {}, el("tr", {}, head)), el("tbody", {}, rows));
  return el("div", { class: "table-frame", tabindex: "0" }, table);
}
return { usageLines, makeUsageChart, usageTable };
})();
// panels/network.js
const $module67 = (() => {
const { el, svg } = $module0;
const { aText } = $module2;
const { formatCount, formatPercent } = $module7;
const { goTo } = $module13;
const { addField, change, currentRun, state, watch } = $module4;
const { makeUsageChart, usageTable } = $module66;
// The network as a drawing: its parts from left to right, the units of a stage one below the other, and a
// mark at every attention site. A click on a mark shows the site's maps.








addField("site", aText("")); // title of the map that the attention panel shows

const BOX = { width: 130, gap: 26, head: 46, unit: 26, foot: 38, top: 6 };

// Parts that have weights or a cost; others are not drawn.
function drawnParts({ parts, sites }) {
  const within = (part) => sites.some((site) => belongs(site, part));
  return parts.filter((part) => part.parameters || part.flops || within(part));
}

function belongs(site, part) {
  return site.name === part.name || site.name.startsWith(`${part.name}.`);
}

function siteColumns(run, site) {
  return run.columns.filter(
    (column) => column.title === site.block || column.title.startsWith(`${site.block}.`),
  );
}

// The map of a site: its last column, which for two gates is the spatial one.
function chooseSite(run, site) {
  const columns = siteColumns(run, site);
  const saliency = run.columns.filter((column) => column.source === "saliency");
  if (!columns.length) return;
  change({
    site: columns[columns.length - 1].title,
    columns: [...saliency, ...columns].map((column) => column.index),
  });
  goTo("attention");
}

function shortened(text, most) {
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
}

function shapeText(shape) {
  return shape ? shape.join(" × ") : "";
}

// How much a block changes its input; empty if the run did not measure it.
function usageText(site) {
  if (site.change === undefined) return "";
  const spreads = [
    ["images", site.over_images],
    ["channels", site.over_channels],
    ["positions", site.over_positions],
  ].map(([axis, spread]) => `${formatPercent(spread, 1)} over ${axis}`);
  return `; changes its input by ${formatPercent(site.change, 1)}, its factor spreads ${spreads.join(", ")}`;
}

function usageHint({ sites, predictions_changed: changed }) {
  const changes = sites.map((site) => site.change).filter((change) => change !== undefined);
  if (!changes.length) return "";
  const range = `${formatPercent(Math.min(...changes), 1)} to ${formatPercent(Math.max(...changes), 1)}`;
  const without = changed === undefined ? "" : `; without them ${formatPercent(changed, 1)} of the predictions change`;
  return ` The blocks change their inputs by ${range}${without}.`;
}

function drawSite(run, site, x, y) {
  const [size, cost] = [`${site.channels} × ${site.height} × ${site.width}`, formatCount(site.parameters)];
  const words = `${site.label} ${site.place} ${site.name}: ${size}, ${cost} parameters, ${formatCount(site.flops)} FLOPs${usageText(site)}`;
  const press = (event) => {
    if (event.type === "keydown" && event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    chooseSite(run, site);
  };
  const chosen = siteColumns(run, site).some((column) => column.title === state.site);
  const label = shortened(site.label, 9);
  const width = 14 + 6.3 * label.length;
  return {
    width,
    element: svg(
      "g",
      {
        class: chosen ? "site chosen" : "site",
        role: "button",
        tabindex: "0",
        "aria-pressed": String(chosen),
        "aria-label": words,
        "data-site": site.name,
        onclick: press,
        onkeydown: press,
      },
      svg("title", {}, words),
      svg("rect", { x: x - width, y: y - 9, width, height: 18, rx: 9 }),
      svg("text", { x: x - width / 2, y: y + 4, "text-anchor": "middle" }, label),
    ),
  };
}

function drawSites(run, sites, x, y) {
  let right = x;
  return sites.map((site) => {
    const mark = drawSite(run, site, right, y);
    right -= mark.width + 3;
    return mark.element;
  });
}

function drawUnit(run, unit, sites, x, y, height) {
  const own = sites.filter((site) => belongs(site, unit));
  const name = unit.name.split(".").slice(1).join(".") || unit.name;
  const title = `${unit.name} (${unit.type}): ${shapeText(unit.shape)}, ${formatCount(unit.parameters)} parameters`;
  return [
    svg(
      "g",
      { class: "unit" },
      svg("title", {}, title),
      svg("rect", { x: x + 6, y, width: BOX.width - 12, height: height - 4, rx: 4 }),
      svg("text", { x: x + 14, y: y + height / 2 + 2 }, shortened(name, own.length ? 7 : 20)),
    ),
    ...drawSites(run, own, x + BOX.width - 10, y + height / 2 - 2),
  ];
}

function drawPart(run, part, sites, x, tall) {
  const own = sites.filter((site) => belongs(site, part));
  const outside = own.filter((site) => !part.parts.some((unit) => belongs(site, unit)));
  const middle = x + BOX.width / 2;
  const costs = [`${formatCount(part.parameters)} parameters`, `${formatCount(part.flops)} FLOPs`];
  const head = [
    svg("rect", { class: "part", x, y: BOX.top, width: BOX.width, height: tall, rx: 8 }),
    svg("text", { class: "part-name", x: middle, y: BOX.top + 18, "text-anchor": "middle" }, shortened(part.name, 17)),
    svg("text", { class: "part-shape", x: middle, y: BOX.top + 34, "text-anchor": "middle" }, shapeText(part.shape)),
    ...costs.map((cost, i) =>
      svg("text", { class: "part-cost", x: middle, y: BOX.top + tall - 24 + 15 * i, "text-anchor": "middle" }, cost),
    ),
  ];
  const units = part.parts.flatMap((unit, i) =>
    drawUnit(run, unit, own, x, BOX.top + BOX.head + i * BOX.unit, BOX.unit),
  );
  const below = BOX.top + BOX.head + part.parts.length * BOX.unit + 10;
  return svg("g", {}, head, units, drawSites(run, outside, x + BOX.width - 10, below));
}

function drawNetwork(run) {
  const { parts, sites } = { ...run.panels.network, parts: drawnParts(run.panels.network) };
  const rows = Math.max(1, ...parts.map((part) => part.parts.length)) + 0.6;
  const tall = BOX.head + rows * BOX.unit + BOX.foot;
  const width = parts.length * (BOX.width + BOX.gap) - BOX.gap;
  const height = tall + 2 * BOX.top;
  const arrows = parts.slice(1).map((_, i) => {
    const x = (i + 1) * (BOX.width + BOX.gap) - BOX.gap;
    const y = BOX.top + 18;
    return svg("path", { class: "arrow", d: `M${x + 4} ${y}h${BOX.gap - 9}m-5 -4l5 4l-5 4` });
  });
  return svg(
    "svg",
    { class: "network", viewBox: `0 0 ${width} ${height}`, width, height, role: "group", "aria-label": "The network" },
    arrows,
    parts.map((part, i) => drawPart(run, part, sites, i * (BOX.width + BOX.gap), tall)),
  );
}

function makeNetwork() {
  const content = el("div", { class: "network-frame", tabindex: "0" });
  const usage = el("div", { class: "network-usage" });
  const usageChart = makeUsageChart();
  const section = el("section", { "aria-labelledby": "network" }, el("h2", { id: "network" }, "Network"), content, usage);
  const draw = () => {
    const run = currentRun();
    section.hidden = !run.panels?.network;
    if (section.hidden) return;
    const focused = document.activeElement?.dataset?.site;
    const { network } = run.panels;
    const { sites } = network;
    const hint = sites.length
      ? `${sites.length} attention site${sites.length === 1 ? "" : "s"}; choose one to see its maps.${usageHint(network)}`
      : "No attention was inserted.";
    content.replaceChildren(drawNetwork(run), el("p", { class: "muted hint" }, hint));
    usage.replaceChildren(...[usageTable(network), usageChart.element].filter(Boolean));
    usageChart.draw();
    if (focused) content.querySelector(`[data-site="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  };
  watch((values) => {
    if ("run" in values || "site" in values) draw();
    else if (["epoch", "used", "hidden"].some((name) => name in values)) usageChart.draw();
  });
  draw();
  return section;
}
return { makeNetwork };
})();
// panels/overview.js
const $module68 = (() => {
const { breakable, el } = $module0;
const { formatPercent, formatValue, isShare, metricWords } = $module7;
const { report } = $module3;
const { currentRun, watch } = $module4;
const { makeThemeButton } = $module6;
// The head of the page, and the facts of the chosen run.







// The first lines of the page, with the switch of its colours.
function makeTop(eyebrow, title) {
  const line = el("div", { class: "top-line" }, el("p", { class: "eyebrow" }, eyebrow), makeThemeButton());
  return el("header", { class: "top" }, line, el("h1", {}, title));
}

function makeHeader() {
  const kind = report.runs.every((run) => run.export) ? "saliency" : "training";
  const several = report.runs.length > 1;
  const title = several ? `${report.runs.length} runs` : breakable(report.runs[0]?.name ?? "no run");
  return makeTop(`cv_attention · ${kind} report`, title);
}

function resultTiles(run) {
  if (run.export) return [];
  if (!run.test.length) {
    const text = run.finished ? "not tested" : "interrupted or still running";
    return [el("div", { class: "tile" }, el("dt", {}, "Test"), el("dd", { class: "muted" }, text))];
  }
  return run.test.map(([name, value]) => {
    return el(
      "div",
      { class: "tile result", title: metricWords(name) },
      el("dt", {}, `Test ${name.replaceAll("_", " ")}`),
      el("dd", {}, isShare(name, value) ? formatPercent(value, 2) : formatValue(value)),
    );
  });
}

function detail(title, text) {
  return text && el("details", {}, el("summary", {}, title), el("pre", { tabindex: "0" }, text));
}

function makeOverview() {
  const content = el("div", {});
  const draw = () => {
    const run = currentRun();
    content.replaceChildren(
      el(
        "dl",
        { class: "tiles" },
        resultTiles(run),
        run.facts.map(([label, text]) =>
          el("div", { class: "tile fact" }, el("dt", {}, label), el("dd", {}, breakable(text))),
        ),
      ),
      ...run.notices.map((notice) => el("p", { class: "notice" }, notice)),
      el("div", { class: "details" }, detail("Attention plan", run.plan), detail("Configuration", run.config)),
    );
  };
  watch((values) => {
    if ("run" in values) draw();
  });
  draw();
  return el("section", { "aria-label": "Overview" }, content);
}
return { makeTop, makeHeader, makeOverview };
})();
// panels/memory.js
const $module69 = (() => {
const { labelled } = $module5;
const { el } = $module0;
const { aNumber } = $module2;
const { formatPercent, formatValue } = $module7;
const { plainCache } = $module16;
const { addField, change, currentRun, state, watch } = $module4;
const { colourTable } = $module8;
const { paintHeatmap } = $module28;
const { hideReadout, showReadout } = $module12;
// Test episodes of a network with a memory: images, answers, and where each step read and wrote.











addField("episode", aNumber(0, 0, 1e6));

const WORDS = {
  classify: "Each image is named before its label is shown; labels stand for other classes in every episode.",
  copy: "The images are named in order after their end.",
  associate: "Pairs of images, one of the first ones again, and then its partner is named.",
};

// One step: its image if it has one, and the name that was given, with the right one where it is another.
function stepOf({ url, answer, given }, number) {
  const asked = answer >= 0;
  const right = given === answer;
  const words = !asked ? "" : right ? String(given) : `${given}, not ${answer}`;
  const picture = url ? el("img", { src: url, alt: `Image of step ${number + 1}` }) : el("span", { class: "memory-blank" });
  return el("li", { class: !asked ? "memory-step" : right ? "memory-step right" : "memory-step wrong" }, picture, el("span", {}, words));
}

// Slots as rows, steps as columns, below the images.
function weightsOf(rows, name) {
  const [height, width] = [rows.length, rows[0].length];
  const values = new Float32Array(rows.flat()).map((value) => value / 1000);
  const label = `${name} weights: ${height} slots × ${width} steps`;
  const canvas = el("canvas", { class: "memory-weights", role: "img", "aria-label": label });
  canvas.style.height = `${Math.max(24, Math.min(256, 6 * height))}px`;
  const plain = { smooth: false, threshold: 0, contour: false, signed: false };
  paintHeatmap(canvas, { values, height, width }, [0, Math.max(...values) || 1], colourTable(state.colours), plain);
  canvas.addEventListener("pointermove", (event) => {
    const edge = canvas.getBoundingClientRect();
    const cell = (share, count) => Math.min(count - 1, Math.max(0, Math.floor(share * count)));
    const step = cell((event.clientX - edge.left) / edge.width, width);
    const slot = cell((event.clientY - edge.top) / edge.height, height);
    showReadout(event, `step ${step + 1}, slot ${slot + 1}: ${formatValue(values[slot * width + step])}`);
  });
  canvas.addEventListener("pointerleave", hideReadout);
  return el("figure", { class: "memory-figure" }, el("figcaption", { class: "muted" }, label), canvas);
}

function instancesOf(instances) {
  if (!instances.length) return null;
  const rows = instances.map(({ nth, right, count }) =>
    el("tr", {}, el("th", { scope: "row" }, String(nth)), el("td", { class: "number" }, formatPercent(right / count, 1)), el("td", { class: "number" }, String(count))),
  );
  const head = ["image of its class", "right", "answers"].map((words) => el("th", { scope: "col" }, words));
  return el("table", { class: "memory-instances" }, el("caption", {}, "Whole test split"), el("thead", {}, el("tr", {}, head)), el("tbody", {}, rows));
}

function makeMemory() {
  const body = el("div", { class: "memory-body" });
  const chosen = el("select", { name: "episode", onchange: () => change({ episode: Number(chosen.value) }) });
  const title = el("h2", { id: "memory" }, "Memory");
  const section = el("section", { "aria-labelledby": "memory" }, title, el("div", { class: "panel-tools" }, labelled("Episode", chosen)), body);
  let turn = 0;
  async function draw() {
    const run = currentRun();
    const now = ++turn;
    const hash = run.panels?.memory;
    section.hidden = !hash;
    const found = hash ? await plainCache.get(`${run.folder}/memory`, hash, 1e6).catch(() => null) : null;
    if (now !== turn || !found?.episodes.length) return;
    const index = Math.min(state.episode, found.episodes.length - 1);
    const episode = found.episodes[index];
    chosen.replaceChildren(...found.episodes.map((one, i) => el("option", { value: i }, `test episode ${one.index}`)));
    chosen.value = String(index);
    const steps = el("ol", { class: "memory-steps" }, episode.steps.map(stepOf));
    const maps = ["read", "write"].filter((name) => episode[name]?.length).map((name) => weightsOf(episode[name], name === "read" ? "Read" : "Write"));
    for (const part of [steps, ...maps]) part.style.setProperty("--steps", String(episode.steps.length));
    const note = maps.length ? "Weights are means over the heads." : "This network has no external memory.";
    const words = el("p", { class: "muted hint" }, `${WORDS[found.kind] ?? ""} ${note}`);
    const scroll = el("div", { class: "memory-scroll", tabindex: "0" }, steps, maps);
    body.replaceChildren(words, scroll, ...[instancesOf(found.instances)].filter(Boolean));
  }
  watch((values) => {
    if ("run" in values || "episode" in values || "colours" in values) draw();
  });
  draw();
  return section;
}
return { makeMemory };
})();
// panels/text.js
const $module70 = (() => {
const { el } = $module0;
const { formatPercent } = $module7;
// A text that was read, in boxes coloured by confidence; errors are marked by the edit alignment with the truth.




const WORDS = {
  match: "right",
  substitution: "wrong",
  insertion: "not in the true text",
  deletion: "not read",
};

// A unit as text that can be seen: spaces and control characters have no shape of their own.
function shownUnit(unit) {
  if (unit === " ") return "␣";
  return unit.replace(/[\p{C}\p{Z}]/gu, (letter) => (letter === " " ? " " : "�"));
}

function describe(probe, [kind, read, true_]) {
  if (kind === "deletion") return `${shownUnit(probe.trueUnits[true_])}: not read`;
  const sure = formatPercent(probe.confidences[read], 1);
  const instead = kind === "substitution" ? ` instead of ${shownUnit(probe.trueUnits[true_])}` : "";
  return `${shownUnit(probe.units[read])}${instead}: ${WORDS[kind]}, confidence ${sure}`;
}

function box(probe, pair, onlook) {
  const [kind, read, true_] = pair;
  const about = describe(probe, pair);
  const attributes = { class: `unit ${kind}`, title: about, "aria-label": about, role: "listitem" };
  if (read === null) return el("span", attributes, el("span", { class: "unit-read" }, " "), el("small", {}, shownUnit(probe.trueUnits[true_])));
  const look = () => onlook(read);
  const shown = el("span", { ...attributes, "data-step": read, onpointerenter: look });
  shown.style.setProperty("--sure", `${Math.round(45 * probe.confidences[read])}%`);
  shown.append(
    el("span", { class: "unit-read" }, shownUnit(probe.units[read])),
    el("small", {}, kind === "substitution" ? shownUnit(probe.trueUnits[true_]) : kind === "insertion" ? "–" : " "),
  );
  return shown;
}

// `onlook(step)` is called for the unit under the pointer.
function textFigure(probe, onlook) {
  const errors = probe.alignment.filter(([kind]) => kind !== "match").length;
  const truth = probe.truth === "" ? "an empty text" : probe.truth;
  const verdict = errors ? `${errors} ${errors === 1 ? "error" : "errors"}; the truth is ${truth}` : "read without an error";
  const boxes = probe.alignment.map((pair) => box(probe, pair, onlook));
  return el(
    "div",
    { class: "read-text" },
    el("div", { class: "units", role: "list", "aria-label": `Read: ${probe.text === "" ? "an empty text" : probe.text}` }, boxes.length ? boxes : el("span", { role: "listitem", class: "muted" }, "an empty text")),
    el("p", { class: errors ? "read-verdict wrong" : "read-verdict right" }, verdict),
    el("p", { class: "muted hint" }, `Confidence of the whole text: ${formatPercent(probe.confidence, 1)}. The colour of a box shows that of its character; below it stands what is true where that differs.`),
  );
}
return { shownUnit, textFigure };
})();
// panels/matrix.js
const $module71 = (() => {
const { el } = $module0;
const { formatValue } = $module7;
const { state } = $module4;
const { colourTable } = $module8;
const { paintHeatmap } = $module28;
const { hideReadout, showReadout } = $module12;
const { panelFigure } = $module43;
const { shownUnit } = $module70;
// The alignment matrix: weights of each step over the columns of the image, or over all positions.










// {values, height: steps, width}: rows of the grid summed, or all positions row by row.
function alignmentMatrix(maps, all) {
  const [{ height, width }] = maps;
  const across = all ? height * width : width;
  const values = new Float32Array(maps.length * across);
  maps.forEach((map, step) => {
    map.values.forEach((value, i) => {
      values[step * across + (all ? i : i % width)] += value;
    });
  });
  return { values, height: maps.length, width: across };
}

function drawMatrix(probe, maps, onlook) {
  const all = state.positions === "all";
  const matrix = alignmentMatrix(maps, all);
  const canvas = el("canvas", { class: "alignment-matrix", role: "img", "aria-label": "Weights of each step by place" });
  const plain = { smooth: false, threshold: 0, contour: false, signed: false };
  paintHeatmap(canvas, matrix, [0, Math.max(...matrix.values)], colourTable(state.colours), plain);
  const cell = (share, count) => Math.min(count - 1, Math.max(0, Math.floor(share * count)));
  canvas.addEventListener("pointermove", (event) => {
    const edge = canvas.getBoundingClientRect();
    const step = cell((event.clientY - edge.top) / edge.height, matrix.height);
    const place = cell((event.clientX - edge.left) / edge.width, matrix.width);
    const value = formatValue(matrix.values[step * matrix.width + place]);
    showReadout(event, `${shownUnit(probe.units[step])}: ${value} · ${all ? "position" : "column"} ${place}`);
    onlook(step);
  });
  canvas.addEventListener("pointerleave", hideReadout);
  const names = el("ol", { class: "names-y", "aria-hidden": "true" }, probe.units.map((unit) => el("li", {}, el("span", {}, shownUnit(unit)))));
  const words = all ? "Steps × all positions, row by row" : "Steps × columns, rows summed: a diagonal is reading in order";
  const figure = panelFigure(words, el("div", { class: "matrix-frame" }, names, canvas));
  figure.classList.add("matrix-figure");
  return figure;
}
return { drawMatrix };
})();
// panels/reading_tables.js
const $module72 = (() => {
const { el } = $module0;
const { formatPercent } = $module7;
const { plainCache } = $module16;
const { shownUnit } = $module70;
// Tables of the texts of the test images: errors by the length of the text, and the most confused characters.






function loadTables(run) {
  const hash = run.panels?.read;
  return hash ? plainCache.get(`${run.folder}/readings-test`, hash, 1e5) : Promise.resolve(null);
}

function table(name, caption, titles, rows) {
  const head = titles.map((text, i) => el("th", { scope: "col", class: i ? "number" : null }, text));
  const content = el("table", { class: name }, el("caption", {}, caption), el("thead", {}, el("tr", {}, head)), el("tbody", {}, rows));
  return el("div", { class: "table-frame", tabindex: "0" }, content);
}

function barCell(share, text) {
  const bar = el("i");
  bar.style.width = `${100 * Math.min(share, 1)}%`;
  return el("td", { class: "number with-bar" }, bar, el("span", {}, text));
}

function lengthRow({ length, images, errors, cer, exact }) {
  return el(
    "tr",
    { "data-length": length },
    el("th", { scope: "row" }, length),
    el("td", { class: "number" }, images),
    el("td", { class: "number" }, errors),
    barCell(cer, formatPercent(cer, 2)),
    el("td", { class: "number" }, formatPercent(exact / images, 1)),
  );
}

function confusedRow([truth, read, count, occurring]) {
  const name = (unit, otherwise) => (unit === "" ? el("span", { class: "muted" }, otherwise) : shownUnit(unit));
  const share = truth === "" ? "–" : formatPercent(count / occurring, 1);
  return el(
    "tr",
    {},
    el("th", { scope: "row" }, name(truth, "nothing")),
    el("td", { class: "number" }, name(read, "not read")),
    el("td", { class: "number" }, count),
    el("td", { class: "number" }, share),
  );
}

function drawTables({ images, lengths, confused }) {
  const words = `Character error rate by the length of the text, ${images} test images`;
  const titles = ["Length", "Images", "Errors", "CER", "Exact"];
  const parts = [table("by-length", words, titles, lengths.map(lengthRow))];
  if (confused.length) {
    const columns = ["True", "Read", "Times", "Of its occurrences"];
    parts.push(table("confused", "Most confused characters", columns, confused.map(confusedRow)));
  } else if (lengths.length) {
    parts.push(el("p", { class: "muted" }, "No character was confused with another."));
  }
  return parts;
}
return { loadTables, drawTables };
})();
// panels/reading.js
const $module73 = (() => {
const { makeCache } = $module14;
const { select } = $module5;
const { decode } = $module15;
const { el } = $module0;
const { aChoice } = $module2;
const { epochName, formatPercent } = $module7;
const { loadScript } = $module16;
const { addField, currentRun, state, watch } = $module4;
const { weightLayers } = $module30;
const { linkZoom } = $module11;
const { loadPanel } = $module45;
const { colourBar, overlaid, panelFigure } = $module43;
const { drawMatrix } = $module71;
const { drawTables, loadTables } = $module72;
const { sampleStepper } = $module48;
const { textFigure, shownUnit } = $module70;
// Texts that were read: each character with its confidence, where the network looked for it, and tables of the test.


















addField("positions", aChoice("columns", ["columns", "all"]));

const EMPTY = { map: { values: new Float32Array(1), height: 1, width: 1 }, range: null, table: "grey", signed: false };

const readingCache = makeCache(64e6, async (key, hash) => {
  const found = await loadScript(key, hash);
  if (!found.weights) return { value: found, bytes: 2e5 };
  const values = await decode(found.weights);
  const [height, width] = found.weights.shape;
  return { value: { ...found, weights: { ...found.weights, values, height, width } }, bytes: values.byteLength };
});

function hasReadings(run) {
  return Object.keys(run.panels?.reading ?? {}).length > 0 || Boolean(run.panels?.read);
}

// The weights of every unit of one text: {values, height, width, lo, hi}; none where they were not recorded.
function stepMaps(found, sample) {
  const all = found.weights;
  if (!all) return [];
  const size = all.height * all.width;
  return found.probes[sample].units.map((_, step) => {
    const i = sample * all.steps + step;
    const values = all.values.subarray(i * size, (i + 1) * size);
    return { values, height: all.height, width: all.width, lo: all.lo[i], hi: all.hi[i] };
  });
}

function whereRead(probe, step) {
  return `Where ${shownUnit(probe.units[step])} was read (${formatPercent(probe.confidences[step])})`;
}

// One heatmap for each unit; `onlook(step)` is called for the one under the pointer or with the focus.
function multiples(run, sample, probe, layers, onlook) {
  const frames = layers.map((layer, step) => {
    const label = whereRead(probe, step);
    const look = () => onlook(step);
    return el(
      "button",
      { type: "button", class: "step-map", "data-step": step, "aria-label": label, onpointerenter: look, onfocus: look, onclick: look },
      overlaid(run, sample, layer, label),
      el("span", { class: "step-name" }, el("b", {}, shownUnit(probe.units[step])), formatPercent(probe.confidences[step])),
    );
  });
  return el("div", {}, el("div", { class: "step-maps" }, frames), el("div", { class: "shared-scale" }, colourBar(layers[0])));
}

function largeFigure(run, sample, probe, layers) {
  const caption = el("figcaption", {});
  const place = el("div", {});
  const figure = el("figure", { class: "panel-figure reading-large" }, caption, place);
  const look = (step) => {
    const layer = layers[step];
    caption.textContent = layer ? whereRead(probe, step) : "The image";
    const frame = overlaid(run, sample, layer ?? EMPTY, caption.textContent);
    if (!layer) frame.querySelector("canvas").remove();
    place.replaceChildren(frame);
    for (const one of figure.parentElement?.querySelectorAll("[data-step]") ?? [])
      one.classList.toggle("looked-at", Number(one.dataset.step) === step);
  };
  look(null);
  return { figure, look };
}

function drawReading(run, epoch, found, sample) {
  const probe = found.probes[sample];
  const maps = stepMaps(found, sample);
  const layers = weightLayers(maps, found.weights?.values);
  const large = largeFigure(run, sample, probe, layers);
  const parts = [large.figure, textFigure(probe, large.look)];
  if (maps.length) {
    const size = `${maps[0].height} × ${maps[0].width} positions`;
    parts.push(
      panelFigure(`One heatmap per ${found.unit}, ${epochName(epoch)}, ${size}`, multiples(run, sample, probe, layers, large.look)),
      drawMatrix(probe, maps, large.look),
    );
  } else if (probe.units.length) {
    parts.push(el("p", { class: "muted" }, "No attention weights were recorded."));
  }
  return parts;
}

const READING_STATE = ["run", "epoch", "sample", "positions", "colours", "opacity", "smooth", "threshold", "contour", "scale", "low", "high", "theme"];

function makeReading() {
  const body = el("div", { class: "reading-body" });
  const tables = el("div", { class: "reading-tables" });
  const positions = select("positions", "Matrix", { columns: "steps × columns", all: "steps × all positions" });
  const tools = el("div", { class: "panel-tools" }, sampleStepper(), positions);
  const title = el("h2", { id: "reading" }, "Reading");
  const section = el("section", { "aria-labelledby": "reading" }, title, tools, body, tables);
  linkZoom(body);
  let turn = 0;
  async function draw() {
    const run = currentRun();
    const now = ++turn;
    section.hidden = !hasReadings(run);
    if (section.hidden) return;
    const [read, tested] = await Promise.all([
      loadPanel(run, "reading", readingCache).catch(() => null),
      loadTables(run).catch(() => null),
    ]);
    if (now !== turn) return;
    tools.hidden = !read;
    const sample = Math.min(state.sample ?? 0, (read?.found.probes.length ?? 1) - 1);
    body.replaceChildren(...(read ? drawReading(run, read.epoch, read.found, sample) : []));
    tables.replaceChildren(...(tested ? drawTables(tested) : []));
  }
  watch((values) => {
    if (READING_STATE.some((name) => name in values)) draw();
  });
  draw();
  return section;
}
return { hasReadings, makeReading };
})();
// tools/active.js
const $module74 = (() => {
const { className } = $module21;
const { pushButton } = $module5;
const { el } = $module0;
const { nearestSnapshot } = $module1;
const { formatPercent, isolated } = $module7;
const { report } = $module3;
const { change, currentRun, FIELDS, state, watch } = $module4;
const { conditionFault } = $module39;
const { AGREEMENTS, chosenAgreement } = $module25;
// A line above the list: which filters limit it, each with a button that takes it away, and how many images are selected.











const named = (value) => isolated(className(currentRun(), value));

// Field -> what it does to the list, in words.
const WORDS = {
  search: (text) => `search: ${isolated(text)}`,
  label: (value) => `true class: ${named(value)}`,
  predicted: (value) => `predicted: ${named(value)}`,
  show: (value) => ({ correct: "right", wrong: "wrong" })[value],
  least: (value) => `confidence from ${formatPercent(value)}`,
  most: (value) => `confidence to ${formatPercent(value)}`,
  flag: (flag) => isolated(flag.replace(/^tag:/, "tag: ")),
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

const clearFilters = () => change(starts(FILTERS));

function activeFilters() {
  return inUse().filter((name) => name !== "search").length || "";
}

const chip = (words, title, remove) =>
  el("li", {}, pushButton([el("bdi", { class: "two-lines" }, words), " ×"], remove, { class: "quiet in-use", "aria-label": title, title }));

function makeActive() {
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
return { clearFilters, activeFilters, makeActive };
})();
// tools/columns.js
const $module75 = (() => {
const { pushButton } = $module5;
const { breakable, el } = $module0;
const { columnName, kindName } = $module7;
const { change, currentRun, shownColumns, watch } = $module4;
// Which columns are shown, and in which order: those shown with buttons to move them, all of them with check
// marks by source.






function makeColumnChooser() {
  const order = el("ol", { class: "column-order", "aria-label": "Order of the columns" });
  const list = el("div", { class: "column-list" });
  const set = (indices) => change({ columns: indices });
  const all = () => currentRun().columns.map((column) => column.index);
  const shown = () => shownColumns(currentRun()).map((column) => column.index);

  function toggle(index, wanted) {
    const now = shown();
    set(wanted ? [...now, index] : now.filter((other) => other !== index));
  }
  function move(index, place) {
    const rest = shown().filter((other) => other !== index);
    rest.splice(Math.max(0, Math.min(rest.length, place)), 0, index);
    set(rest);
  }

  function chip(column, place, count) {
    const name = columnName(column);
    const { index } = column;
    const button = (text, label, to, disabled) =>
      pushButton(text, () => move(index, to), {
        "aria-label": label,
        disabled,
        "data-move": `${text}${index}`,
      });
    const element = el(
      "li",
      { class: "ordered", draggable: "true", "data-column": index },
      button("←", `Move ${name} to the left`, place - 1, place === 0),
      el("span", { class: "ordered-name" }, breakable(name)),
      button("→", `Move ${name} to the right`, place + 1, place === count - 1),
    );
    element.addEventListener("dragstart", (event) => event.dataTransfer.setData("text/plain", String(index)));
    element.addEventListener("dragover", (event) => event.preventDefault());
    element.addEventListener("drop", (event) => {
      event.preventDefault();
      const dragged = Number(event.dataTransfer.getData("text/plain"));
      if (shown().includes(dragged)) move(dragged, place);
    });
    return element;
  }

  function checkmarks(source, title) {
    const run = currentRun();
    const now = new Set(shown());
    const columns = run.columns.filter(
      (column) => (column.source === "saliency") === (source === "saliency"),
    );
    const box = (column) =>
      el("input", {
        type: "checkbox",
        checked: now.has(column.index),
        "data-column": column.index,
        onchange: (event) => toggle(column.index, event.target.checked),
      });
    const chips = columns.map((column) =>
      el(
        "label",
        { class: "chip" },
        box(column),
        el("span", {}, breakable(columnName(column))),
        el("span", { class: "kind" }, kindName(column)),
      ),
    );
    return columns.length ? el("fieldset", {}, el("legend", {}, title), chips) : "";
  }

  function draw() {
    const columns = shownColumns(currentRun());
    const focused = document.activeElement?.dataset ?? {};
    order.replaceChildren(...columns.map((column, place) => chip(column, place, columns.length)));
    list.replaceChildren(checkmarks("saliency", "Saliency"), checkmarks("attention", "Attention blocks"));
    if (focused.move) order.querySelector(`[data-move="${focused.move}"]`)?.focus();
    else if (focused.column) list.querySelector(`input[data-column="${Number(focused.column)}"]`)?.focus();
  }
  watch((values) => {
    if ("columns" in values || "run" in values) draw();
  });
  draw();
  const buttons = el(
    "p",
    { class: "buttons" },
    pushButton("All", () => set(all())),
    pushButton("None", () => set([])),
    pushButton("Suggested", () => set(null)),
  );
  return el("div", { class: "columns" }, order, list, buttons);
}

function countColumns() {
  const run = currentRun();
  return `${shownColumns(run).length} of ${run.columns.length}`;
}
return { makeColumnChooser, countColumns };
})();
// tools/compare.js
const $module76 = (() => {
const { pushButton, rangeControl, select } = $module5;
const { el } = $module0;
const { nearestSnapshot } = $module1;
const { columnName, epochName, formatPercent } = $module7;
const { report } = $module3;
const { change, currentRun, state, watch } = $module4;
const { neighboursOf } = $module26;
const { versus } = $module31;
// Lets the reader choose what maps are compared with, and what stands next to them, and labels A and B.










const BLINK_MS = 600;

function compareOptions(run) {
  const epochs = Object.fromEntries(run.epochs.map(({ epoch }) => [`epoch:${epoch}`, epochName(epoch)]));
  const columns = run.columns.filter((column) => !column.bars);
  const named = Object.fromEntries(columns.map((column) => [`column:${column.index}`, columnName(column)]));
  const others = report.runs.map((other, i) => [`run:${i}`, other.name]).filter((_, i) => i !== state.run);
  return {
    "": "nothing",
    ...(run.epochs.length > 1 ? { "another epoch": epochs } : {}),
    ...(columns.length > 1 ? { "another column": named } : {}),
    ...(others.length ? { "another run": Object.fromEntries(others) } : {}),
  };
}

function versusWords() {
  const chosen = versus();
  const run = currentRun();
  if (!chosen) return null;
  if (chosen.kind === "column") {
    const column = run.columns[chosen.number];
    return column ? ["each column", columnName(column)] : null;
  }
  if (chosen.kind === "run")
    return report.runs[chosen.number] ? [run.name, report.runs[chosen.number].name] : null;
  return [epochName(nearestSnapshot(run, state.epoch)?.epoch ?? state.epoch), epochName(chosen.number)];
}

// Check marks for what stands next to the columns of the chosen run: other runs with their predictions, other epochs.
function makeNeighbours() {
  const place = el("div", { class: "neighbours" });
  const toggle = (whose, wanted) =>
    change({ adjacent: wanted ? [...state.adjacent, whose] : state.adjacent.filter((one) => one !== whose) });
  const chip = (whose, name, chosen) => {
    const box = el("input", {
      type: "checkbox",
      checked: chosen.has(whose),
      "data-whose": whose,
      onchange: (event) => toggle(whose, event.target.checked),
    });
    return el("label", { class: "chip" }, box, el("bdi", {}, name));
  };
  const group = (title, chips) => chips.length > 0 && el("fieldset", {}, el("legend", {}, title), chips);
  const draw = () => {
    const run = currentRun();
    const focused = document.activeElement?.dataset?.whose;
    const chosen = new Set(neighboursOf(run).map(({ whose }) => whose));
    const runs = report.runs.map((other, i) => other !== run && other.epochs.length > 0 && chip(`run:${i}`, other.name, chosen));
    const several = run.epochs.length > 1 ? run.epochs : [];
    const epochs = several.map(({ epoch }) => chip(`epoch:${epoch}`, epochName(epoch), chosen));
    const groups = [group("Other runs next to each column", runs.filter(Boolean)), group("Other epochs next to each column", epochs)];
    place.replaceChildren(...groups.filter(Boolean));
    if (focused) place.querySelector(`[data-whose="${CSS.escape(focused)}"]`)?.focus();
  };
  watch((values) => {
    if ("adjacent" in values || "run" in values) draw();
  });
  draw();
  return place;
}

// What the button of the panel says of it.
function comparedWords() {
  const adjacent = neighboursOf(currentRun()).length;
  return adjacent ? `+${adjacent}` : state.versus ? "on" : "";
}

function makeCompare() {
  const ways = { difference: "signed difference A − B", swipe: "swipe", blink: "blink" };
  const swipe = rangeControl("split", "Swipe", 0, 1, 0.01, (value) => formatPercent(value));
  const show = () => (swipe.hidden = state.compare !== "swipe");
  watch(show);
  show();
  return el(
    "div",
    { class: "controls" },
    select("versus", "Compare with", compareOptions),
    select("compare", "By", ways),
    swipe,
    makeNeighbours(),
    el(
      "p",
      { class: "muted hint wide" },
      "Methods have different units, so the difference is computed from maps scaled to their own ranges.",
    ),
  );
}

// The line under the player that explains A and B; it also makes maps blink.
function makeVersus(root) {
  const line = el("p", { class: "versus", hidden: true });
  let timer = null;
  const flip = () => {
    const other = root().classList.toggle("showing-b");
    line.dataset.shown = other ? "B" : "A";
  };
  const show = () => {
    const words = versusWords();
    const way = words ? state.compare : "";
    line.hidden = !words;
    const grid = root();
    grid.classList.toggle("swiping", way === "swipe");
    grid.classList.toggle("blinking", way === "blink");
    if (way !== "blink") {
      clearInterval(timer);
      timer = null;
      grid.classList.remove("showing-b");
      delete line.dataset.shown;
    } else timer ??= setInterval(flip, BLINK_MS);
    if (!words) return;
    const [a, b] = words;
    line.replaceChildren(
      el("span", { class: "side side-a" }, el("b", {}, "A"), " ", a),
      el("span", { class: "side side-b" }, el("b", {}, "B"), " ", b),
      el(
        "span",
        { class: "muted" },
        { difference: "A − B", swipe: "A left, B right of the line", blink: "" }[way],
      ),
      pushButton("Stop comparing", () => change({ versus: "" }), { class: "quiet" }),
    );
  };
  watch(show);
  return { element: line, show };
}
return { versusWords, comparedWords, makeCompare, makeVersus };
})();
// tools/contents.js
const $module77 = (() => {
const { pushButton } = $module5;
const { el } = $module0;
const { goTo } = $module13;
const { report } = $module3;
const { shortRunName } = $module19;
const { change, state, watch } = $module4;
// The sticky bar: links to the sections, and what a page adds to them.








function contentsButton(section) {
  const title = section.querySelector("h2");
  title.setAttribute("tabindex", "-1");
  const button = pushButton(title.textContent, () => goTo(title.id), { class: "link" });
  const show = () => (button.hidden = section.hidden);
  new MutationObserver(show).observe(section, { attributes: true, attributeFilter: ["hidden"] });
  show();
  return button;
}

// The runs of the report; the bar keeps them in sight. Nothing for a single one.
function makeTabs() {
  if (report.runs.length < 2) return null;
  const tabs = report.runs.map((run, i) => {
    const attributes = { type: "button", title: run.name, onclick: () => change({ run: i }) };
    const tab = el("button", attributes, el("bdi", {}, shortRunName(run)));
    const mark = () => tab.setAttribute("aria-pressed", String(state.run === i));
    watch(mark);
    mark();
    return tab;
  });
  return el("nav", { class: "tabs", "aria-label": "Runs" }, tabs);
}

// sections: elements with a heading; those without one are at the top of the page.
function makeBar(sections, before = null, after = null) {
  const titled = sections.filter((section) => section.querySelector("h2"));
  const contents = el("nav", { class: "contents", "aria-label": "Contents" }, titled.map(contentsButton));
  const bar = el("div", { class: "page-bar" }, before, contents, after);
  const measure = () => document.documentElement.style.setProperty("--page-bar", `${bar.offsetHeight}px`);
  new ResizeObserver(measure).observe(bar);
  return bar;
}
return { makeTabs, makeBar };
})();
// tools/display.js
const $module78 = (() => {
const { numberControl, pushButton, rangeControl, select, toggleControl } = $module5;
const { el } = $module0;
const { formatPercent } = $module7;
const { report } = $module3;
const { FIELDS, state, watch } = $module4;
const { setZoom } = $module11;
const { makeClassSwitch } = $module29;
// How maps are drawn.









function makeDisplay() {
  const boxes = report.runs.some((run) => run.probes.some((probe) => probe.box));
  const percent = (value) => formatPercent(value);
  const scales = {
    natural: "natural for each kind",
    image: "each image",
    column: "column, this epoch",
    run: "column, all epochs",
    global: "all columns and epochs",
    manual: "limits by hand",
  };
  const clips = [["0", "none"], ...["1", "2", "5"].map((part) => [part, `${part} % at each end`])];
  const limits = el("span", { class: "joined" }, numberControl("low", "From"), numberControl("high", "To"));
  const clip = select("clip", "Clipped", clips);
  const show = () => {
    limits.hidden = state.scale !== "manual";
    clip.hidden = state.scale === "manual";
  };
  watch(show);
  show();
  const names = (choices) => Object.fromEntries(choices.map((name) => [name, name]));
  return el(
    "div",
    { class: "controls" },
    rangeControl("opacity", "Opacity", 0, 1, 0.05, percent),
    select("colours", "Colours", names(FIELDS.colours.choices)),
    select("signed", "Signed maps", names(FIELDS.signed.choices)),
    select("scale", "Scale of colours", scales),
    limits,
    clip,
    rangeControl("threshold", "Threshold", 0, 1, 0.01, (value) => (value ? percent(value) : "off")),
    rangeControl("size", "Size", 64, 320, 4, (value) => `${value} px`),
    rangeControl(
      "zoom",
      "Zoom",
      1,
      16,
      0.1,
      (value) => `× ${Number(value.toFixed(1))}`,
      (value) => setZoom(value),
    ),
    rangeControl("x", "Centre, across", 0, 1, 0.01, percent, (value) => setZoom(state.zoom, value)),
    rangeControl("y", "Centre, down", 0, 1, 0.01, percent, (value) => setZoom(state.zoom, state.x, value)),
    toggleControl("smooth", "Smooth"),
    toggleControl("contour", "Contour"),
    makeClassSwitch(),
    boxes && toggleControl("box", "True box"),
    pushButton("Whole image", () => setZoom(1), { class: "quiet" }),
  );
}
return { makeDisplay };
})();
// core/download.js
const $module79 = (() => {
const { el } = $module0;
// Hands the reader a file.



function download(name, blob) {
  const url = URL.createObjectURL(blob);
  const link = el("a", { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}
return { download };
})();
// tools/csv.js
const $module80 = (() => {
const { className } = $module21;
const { csvOf } = $module57;
const { nearestSnapshot } = $module1;
const { loadMeasures } = $module16;
const { currentRun, state } = $module4;
const { neighboursOf, placeName, placesOf, sampleAt, snapshotAt } = $module26;
const { flagsOf, isRight } = $module24;
const { fileName, trueClass } = $module22;
const { noteOf } = $module23;
// Exports the selected samples, or all listed ones, as a table for other programs.











// The measures of every map in the table: [{name, value(sample)}].
async function measuresOfPlaces(run) {
  const found = placesOf(run).map(async (place) => {
    const snapshot = snapshotAt(place);
    const measures = snapshot ? await loadMeasures(snapshot).catch(() => ({})) : {};
    return Object.entries(measures[place.column.index] ?? {}).map(([name, values]) => ({
      name: `${placeName(place)}: ${name}`,
      value: (i) => values[sampleAt(place, run, i)] ?? null,
    }));
  });
  return (await Promise.all(found)).flat();
}

// What other runs and epochs, those whose maps stand next to this run's, predict for a sample.
function predictionsAdjacent(run) {
  return neighboursOf(run).flatMap((one) => {
    const snapshot = nearestSnapshot(one.run, one.epoch ?? state.epoch);
    const known = (values, i) => values?.[sampleAt(one, run, i)] ?? null;
    return [
      { name: `predicted class, ${one.words}`, value: (i) => className(one.run, known(snapshot?.predictions, i)) },
      { name: `confidence, ${one.words}`, value: (i) => known(snapshot?.confidence, i) },
    ];
  });
}

async function selectionAsCsv(listed) {
  const run = currentRun();
  const snapshot = nearestSnapshot(run, state.epoch);
  const adjacent = [...predictionsAdjacent(run), ...(await measuresOfPlaces(run))];
  const head = [
    "run",
    "epoch",
    "sample",
    "file",
    "true class",
    "predicted class",
    "right",
    "confidence",
    "loss",
    "flags",
    "tags",
    "note",
  ];
  const rows = listed.map((i) => {
    const note = noteOf(run, i);
    const known = (values) => values?.[i] ?? null;
    return [
      run.name,
      snapshot && !run.export ? snapshot.epoch + 1 : null,
      i + 1,
      fileName(run, i),
      trueClass(run, i),
      className(run, known(snapshot?.predictions)),
      snapshot ? isRight(run, snapshot, i) : null,
      known(snapshot?.confidence),
      known(snapshot?.losses),
      flagsOf(run, snapshot, i).join("; "),
      note?.tags.join("; "),
      note?.note,
      ...adjacent.map(({ value }) => value(i)),
    ];
  });
  return csvOf([[...head, ...adjacent.map(({ name }) => name)], ...rows]);
}
return { selectionAsCsv };
})();
// tools/export.js
const $module81 = (() => {
const { pushButton } = $module5;
const { el } = $module0;
const { download } = $module79;
const { change, currentRun, state, watch } = $module4;
const { selectionAsCsv } = $module80;
// Takes samples out of the page: printed, as a table, or selected for a figure.







// Prints the page in light colours with the selected samples, or the first ones, whose maps are loaded before.
async function printPage(grid) {
  const { theme } = state;
  change({ theme: "light" });
  const tidy = await grid.spread();
  const after = () => {
    tidy();
    change({ theme });
  };
  window.addEventListener("afterprint", after, { once: true });
  window.print();
}

// figures: buttons that save the maps as a figure.
function makeExport(grid, figures) {
  const name = () => {
    const run = currentRun();
    return run.name.replace(/[^\w.-]+/g, "_") + (run.export ? "" : `-epoch-${state.epoch + 1}`);
  };
  const table = async () => {
    const text = await selectionAsCsv(state.selected.length ? state.selected : grid.listed());
    download(`${name()}.csv`, new Blob([text], { type: "text/csv" }));
  };
  const status = el("span", { class: "muted" });
  const show = () => {
    const count = state.selected.length;
    const all = "nothing selected: figures and paper show the first images listed, the table has all of them";
    status.textContent = count ? `${count} selected` : all;
  };
  watch(show);
  show();
  return el(
    "div",
    { class: "controls" },
    figures,
    pushButton("Print", () => printPage(grid)),
    pushButton("Samples as CSV", table),
    pushButton("Select all listed", () => change({ selected: [...grid.listed()] })),
    pushButton("Select none", () => change({ selected: [] })),
    status,
  );
}
return { makeExport };
})();
// tools/finding.js
const $module82 = (() => {
const { className } = $module21;
const { labelled, pushButton, rangeControl, select } = $module5;
const { el } = $module0;
const { nearestSnapshot } = $module1;
const { columnName, formatPercent } = $module7;
const { report } = $module3;
const { change, currentRun, shownColumns, state, watch } = $module4;
const { conditionFault, conditionNames } = $module39;
const { fitsRun, FLAGS } = $module24;
const { knownTags } = $module23;
const { hasSort, measuresHere, measuresNow, SORTS } = $module38;
const { AGREEMENTS } = $module25;
const { clearFilters } = $module74;
// Finding samples: search by name and class, filters, order.















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
      ...knownTags(run).map((tag) => [`tag:${tag}`, `tag: ${tag}`]),
    ],
  };
}

function agreementOptions(run) {
  const groups = report.runs.flatMap((other, number) => {
    if (other === run || !other.probes.length) return [];
    return [[other.name, Object.entries(AGREEMENTS).map(([kind, { words }]) => [`${kind}:${number}`, words(other.name)])]];
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
    names.replaceChildren(...known.map((name) => el("li", {}, pushButton(name, () => add(name), { class: "quiet" }))));
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

function makeSearch() {
  const field = el("input", {
    type: "search",
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

function makeSort() {
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

function makeFilters() {
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
return { makeSearch, makeSort, makeFilters };
})();
// tools/keys.js
const $module83 = (() => {
const { openDialog } = $module20;
const { el } = $module0;
const { epochRange } = $module1;
const { goTo } = $module13;
const { change, currentRun, FIELDS, state } = $module4;
const { setZoom } = $module11;
const { editNote } = $module23;
const { openLarge, pickSample } = $module36;
// Keyboard shortcuts, active anywhere unless the focused element uses the key itself.










function makeKeys(grid) {
  const epochTo = (epoch) => change({ epoch });
  const bounds = () => epochRange(currentRun()) ?? [0, 0];
  const pan = (x, y) => setZoom(state.zoom, state.x + x / state.zoom, state.y + y / state.zoom);
  const click = (selector) => document.querySelector(selector)?.click();
  const pick = () => {
    if (state.sample !== null) pickSample(state.sample, !state.selected.includes(state.sample));
  };
  const open = () => {
    if (state.sample === null) grid?.step(0);
    if (state.sample !== null) openLarge(state.sample);
  };
  const next = (name) => {
    const { choices } = FIELDS[name];
    change({ [name]: choices[(choices.indexOf(state[name]) + 1) % choices.length] });
  };
  return [
    [["ArrowLeft"], "previous epoch", () => epochTo(state.epoch - 1)],
    [["ArrowRight"], "next epoch", () => epochTo(state.epoch + 1)],
    [["Home"], "first epoch", () => epochTo(bounds()[0])],
    [["End"], "last epoch", () => epochTo(bounds()[1])],
    [["p"], "play or pause", () => click(".play")],
    [["g"], "to the maps", () => goTo("maps")],
    [["t"], "to the top", () => window.scrollTo(0, 0)],
    [["j"], "next sample", () => grid?.step(1)],
    [["k"], "previous sample", () => grid?.step(-1)],
    [["Enter", "o"], "large view of the sample", open],
    [["x"], "select the sample", pick],
    [["n"], "note on the sample", () => state.sample !== null && editNote(currentRun(), state.sample)],
    [["/"], "search names and classes", () => document.getElementById("search")?.focus()],
    [["f"], "filters", () => click("[data-panel=filters]")],
    [["d"], "display", () => click("[data-panel=display]")],
    [["c"], "columns", () => click("[data-panel=columns]")],
    [["v"], "compare", () => click("[data-panel=compare]")],
    [["b"], "next way to compare", () => next("compare")],
    [["m"], "next normalisation", () => next("scale")],
    [["s"], "smooth or nearest", () => change({ smooth: !state.smooth })],
    [["+", "="], "zoom in", () => setZoom(state.zoom * 1.25)],
    [["-"], "zoom out", () => setZoom(state.zoom / 1.25)],
    [["0"], "whole image", () => setZoom(1)],
    [["A"], "pan left", () => pan(-0.1, 0)],
    [["D"], "pan right", () => pan(0.1, 0)],
    [["W"], "pan up", () => pan(0, -0.1)],
    [["S"], "pan down", () => pan(0, 0.1)],
    [["?"], "this list", showKeys],
  ];
}

const KEY_NAMES = { ArrowLeft: "←", ArrowRight: "→", A: "Shift A", D: "Shift D", W: "Shift W", S: "Shift S" };
let keyTable = [];

function showKeys() {
  const rows = keyTable.map(([keys, words]) =>
    el(
      "div",
      {},
      el(
        "dt",
        {},
        keys.map((key) => el("kbd", {}, KEY_NAMES[key] ?? key)),
      ),
      el("dd", {}, words),
    ),
  );
  openDialog("Keys", [el("dl", { class: "keys" }, rows)]);
}

function listenToKeys(grid) {
  keyTable = makeKeys(grid);
  const actions = new Map(keyTable.flatMap(([keys, , action]) => keys.map((key) => [key, action])));
  document.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || document.querySelector("dialog[open]")) return;
    const { target } = event;
    if (target.closest("input:not([type=checkbox]):not([type=range]), select, textarea")) return;
    const moves = event.key.length > 1; // arrows, Home and End are also used by sliders and scrollable texts
    if (moves && target.closest("input, pre, .plot, [data-own-keys]")) return;
    if (event.key === "Enter" && target.closest("button, summary, [role=button]")) return;
    const action = actions.get(event.key);
    if (!action || !currentRun()) return;
    event.preventDefault();
    action();
  });
}
return { showKeys, listenToKeys };
})();
// tools/notes.js
const $module84 = (() => {
const { labelled, pushButton } = $module5;
const { el } = $module0;
const { download } = $module79;
const { change, currentRun, state } = $module4;
const { keepNotes, noteOf, notesAsText, notesOf, readNotes, setNote, splitTags } = $module23;
// Saves notes to a file and loads them, and tags the selection.







// listed(): the samples that the filters let through.
function makeNotes(listed) {
  const status = el("span", { class: "muted", role: "status" });
  const file = el("input", {
    type: "file",
    accept: ".json,application/json",
    hidden: true,
    "aria-label": "Notes file",
  });
  file.addEventListener("change", async () => {
    try {
      const count = readNotes(await file.files[0].text());
      status.textContent = `${count} note${count === 1 ? "" : "s"} imported.`;
      keepNotes();
    } catch (error) {
      status.textContent = `Not imported: ${error.message}.`;
    }
    file.value = "";
  });
  const tag = el("input", { type: "text", name: "tag", placeholder: "tag" });
  tag.addEventListener("keydown", (event) => event.key === "Enter" && tagSelection());
  const tagSelection = () => {
    const run = currentRun();
    const tags = splitTags(tag.value);
    if (!state.selected.length || !tags.length) {
      const remedy = "Tick the boxes of images in the list, or select all that are listed";
      status.textContent = state.selected.length ? "Enter a tag first." : `Nothing is selected. ${remedy}.`;
      return;
    }
    for (const index of state.selected) {
      const known = noteOf(run, index) ?? { note: "", tags: [] };
      setNote(run, index, known.note, [...new Set([...known.tags, ...tags])]);
    }
    const count = state.selected.length;
    status.textContent = `${count} selected sample${count === 1 ? "" : "s"} tagged.`;
    change({ notes: true });
  };
  const save = () => download("notes.json", new Blob([notesAsText()], { type: "application/json" }));
  return el(
    "div",
    { class: "controls" },
    pushButton("Save notes to a file", save),
    pushButton("Load notes from a file", () => file.click()),
    file,
    el("span", { class: "joined" }, labelled("Tag for the selection", tag), pushButton("Tag", tagSelection)),
    pushButton("Select all listed", () => change({ selected: [...listed()] })),
    status,
  );
}

function countNotes() {
  return notesOf(currentRun()).length || "";
}
return { makeNotes, countNotes };
})();
// drawing/serializing.js
const $module85 = (() => {
const { el, svg } = $module0;
const { colourTable } = $module8;
// Draws a part of the document as SVG elements: texts, pictures, canvases, drawings, colour bars, filled and framed boxes.




const OF_SHAPES = [
  "fill", "fill-opacity", "stroke", "stroke-width", "stroke-dasharray", "stroke-opacity", "stroke-linecap",
  "stroke-linejoin", "opacity", "font-size", "font-family", "font-weight", "text-anchor",
]; // prettier-ignore
const STOPS = 32; // of a colour bar
let clips = 0;

const round = (value) => Number(value.toFixed(2));

function isSeen(colour) {
  const [, , , alpha] = colour.match(/[\d.]+/g) ?? [0, 0, 0, 0];
  return alpha === undefined || Number(alpha) > 0;
}

// A copy of a drawing whose looks do not depend on style sheets.
function copyOf(drawing) {
  const copy = drawing.cloneNode(true);
  const [before, after] = [drawing, copy].map((one) => [one, ...one.querySelectorAll("*")]);
  before.forEach((from, i) => {
    const style = getComputedStyle(from);
    for (const name of OF_SHAPES) after[i].setAttribute(name, style.getPropertyValue(name));
    if (style.display === "none" || style.visibility === "hidden") after[i].setAttribute("display", "none");
    for (const name of ["class", "style", "tabindex", "role"]) after[i].removeAttribute(name);
  });
  return copy;
}

// The lines of a text: [{text, rect}].
function linesOf(node) {
  const range = document.createRange();
  range.selectNodeContents(node);
  const rects = [...range.getClientRects()].filter((rect) => rect.width && rect.height);
  // a space at the beginning has its place, but SVG would leave it out
  const whole = node.textContent.replace(/\s+/g, " ").replace(/^ | $/g, "\u00a0");
  if (rects.length <= 1) return rects.map((rect) => ({ text: whole, rect }));
  const lines = [];
  for (let i = 0; i < node.textContent.length; i++) {
    range.setStart(node, i);
    range.setEnd(node, i + 1);
    const rect = range.getBoundingClientRect();
    if (!rect.width) continue;
    const last = lines[lines.length - 1];
    if (!last || Math.abs(last.rect.top - rect.top) > 2) lines.push({ text: node.textContent[i], rect });
    else last.text += node.textContent[i];
  }
  return lines.map(({ text, rect }) => ({ text: text.trim(), rect }));
}

function isTurned(element) {
  for (let one = element; one; one = one.parentElement) if (getComputedStyle(one).transform.startsWith("matrix(-1")) return true;
  return false;
}

let measuring = null;

function drawText(node, origin) {
  const style = getComputedStyle(node.parentElement);
  measuring ??= el("canvas").getContext("2d");
  measuring.font = `${style.fontWeight} ${style.fontSize} ${style.fontFamily}`;
  const { fontBoundingBoxAscent: up, fontBoundingBoxDescent: down } = measuring.measureText("x");
  const look = { fill: style.color, "font-size": style.fontSize, "font-family": style.fontFamily, "font-weight": style.fontWeight };
  return linesOf(node).map(({ text, rect }) => {
    const [left, top] = [rect.left - origin.left, rect.top - origin.top];
    if (style.writingMode.startsWith("vertical")) {
      // read downwards, or upwards where a box around it is turned; the line runs through the middle of the letters
      const [middle, half] = [left + rect.width / 2, (up - down) / 2];
      const at = isTurned(node.parentElement) ? [middle + half, top + rect.height, -90] : [middle - half, top, 90];
      return svg("text", { ...look, transform: `translate(${round(at[0])} ${round(at[1])}) rotate(${at[2]})` }, text);
    }
    const base = top + (rect.height - up - down) / 2 + up;
    return svg("text", { ...look, x: round(left), y: round(base) }, text);
  });
}

function drawBox(element, style, { x, y, width, height }) {
  const drawn = [];
  const filled = isSeen(style.backgroundColor);
  const sides = ["Top", "Right", "Bottom", "Left"].map((side) => ({
    wide: style[`border${side}Style`] === "none" ? 0 : Number.parseFloat(style[`border${side}Width`]),
    colour: style[`border${side}Color`],
    dashed: /dashed|dotted/.test(style[`border${side}Style`]),
  }));
  if (filled) drawn.push(svg("rect", { x, y, width, height, rx: Number.parseFloat(style.borderRadius) || 0, fill: style.backgroundColor }));
  const half = sides.map(({ wide }) => wide / 2); // borders lie inside of the box
  const [left, right, top, bottom] = [x + half[3], x + width - half[1], y + half[0], y + height - half[2]];
  const ends = [[x, top, x + width, top], [right, y, right, y + height], [x, bottom, x + width, bottom], [left, y, left, y + height]];
  sides.forEach(({ wide, colour, dashed }, i) => {
    if (!wide || !isSeen(colour)) return;
    const [x1, y1, x2, y2] = ends[i].map(round);
    drawn.push(svg("line", { x1, y1, x2, y2, stroke: colour, "stroke-width": wide, "stroke-dasharray": dashed ? 3 : null }));
  });
  const around = (wide, offset, stroke) => {
    const by = offset + wide / 2;
    const box = { x: round(x - by), y: round(y - by), width: round(width + 2 * by), height: round(height + 2 * by) };
    if (box.width > 0 && box.height > 0) drawn.push(svg("rect", { ...box, fill: "none", stroke, "stroke-width": wide }));
  };
  for (const [, colour, spread, inset] of style.boxShadow.matchAll(/(rgba?\([^)]*\)) 0px 0px 0px ([\d.]+)px( inset)?/g))
    around(Number(spread), inset ? -Number(spread) : 0, colour);
  const outline = style.outlineStyle === "none" ? 0 : Number.parseFloat(style.outlineWidth);
  if (outline) around(outline, Number.parseFloat(style.outlineOffset) || 0, style.outlineColor);
  return drawn;
}

// What a style sheet puts before or after the content of an element, where it has a place of its own.
function drawGenerated(element, which, edge, origin) {
  const style = getComputedStyle(element, which);
  const [width, height] = [style.width, style.height].map(Number.parseFloat);
  if (["none", "normal"].includes(style.content) || style.position !== "absolute" || !(width > 0 && height > 0)) return [];
  const own = getComputedStyle(element);
  const at = (side, from) =>
    from + [style[side.toLowerCase()], style[`margin${side}`], own[`border${side}Width`]].reduce((sum, one) => sum + (Number.parseFloat(one) || 0), 0);
  const place = { x: round(at("Left", edge.left - origin.left)), y: round(at("Top", edge.top - origin.top)), width: round(width), height: round(height) };
  const drawn = drawBox(element, style, place);
  const text = style.content.replace(/^"|"$/g, "");
  const look = { fill: style.color, "font-size": style.fontSize, "font-family": style.fontFamily, "text-anchor": "middle" };
  const middle = { x: round(place.x + width / 2), y: round(place.y + height / 2 + 0.36 * Number.parseFloat(style.fontSize)) };
  if (text) drawn.push(svg("text", { ...look, ...middle }, text));
  return drawn;
}

// The part of an element that a style sheet lets through, or all of it.
function clippedBy(style, place, drawn) {
  const [, inset] = style.clipPath.match(/^inset\(([^)]*)\)$/) ?? [];
  if (!inset || !drawn.length) return drawn;
  const sides = inset.split(" ").filter(Boolean);
  const [top, right, bottom, left] = [0, 1, 2, 3].map((i) => {
    const side = sides[i] ?? sides[i - 2] ?? sides[0];
    return (Number.parseFloat(side) / (side.endsWith("%") ? 100 : 1)) * (side.endsWith("%") ? place[i % 2 ? "width" : "height"] : 1);
  });
  const [width, height] = [place.width - left - right, place.height - top - bottom].map((one) => round(Math.max(0, one)));
  return clippedTo({ x: round(place.x + left), y: round(place.y + top), width, height }, drawn);
}

function clippedTo(place, drawn) {
  const id = `clip-${++clips}`;
  return [svg("clipPath", { id }, svg("rect", place)), svg("g", { "clip-path": `url(#${id})` }, drawn)];
}

function drawColourBar(table, place) {
  const colours = colourTable(table);
  const id = `bar-${++clips}`;
  const stops = Array.from({ length: STOPS }, (_, i) => {
    const at = 3 * Math.round((255 * i) / (STOPS - 1));
    return svg("stop", { offset: round(i / (STOPS - 1)), "stop-color": `rgb(${colours.slice(at, at + 3).join(",")})` });
  });
  return [svg("linearGradient", { id }, stops), svg("rect", { ...place, fill: `url(#${id})` })];
}

function drawElement(element, origin) {
  const style = getComputedStyle(element);
  const edge = element.getBoundingClientRect();
  if (style.display === "none") return [];
  const place = { x: round(edge.left - origin.left), y: round(edge.top - origin.top), width: round(edge.width), height: round(edge.height) };
  const seen = style.visibility !== "hidden" && edge.width > 0;
  let drawn = seen ? drawBox(element, style, place) : [];
  if (seen && element.dataset.table) drawn.push(...drawColourBar(element.dataset.table, place));
  if (element.matches("svg")) {
    const copy = copyOf(element);
    for (const [name, value] of Object.entries(place)) copy.setAttribute(name, value);
    drawn.push(copy);
  } else if (seen && element.matches("canvas, img")) {
    const href = element.matches("img") ? element.src : element.width && element.height ? element.toDataURL() : "";
    const pixelated = style.imageRendering === "pixelated" ? "pixelated" : null;
    if (href) drawn.push(svg("image", { ...place, href, preserveAspectRatio: "none", "image-rendering": pixelated }));
    drawn = clippedBy(style, place, drawn);
  } else {
    const before = seen ? drawGenerated(element, "::before", edge, origin) : [];
    const above = Number(getComputedStyle(element, "::before").zIndex) > 0;
    if (!above) drawn.push(...before);
    for (const child of element.childNodes) {
      if (child.nodeType === Node.TEXT_NODE && seen && child.textContent.trim()) drawn.push(...drawText(child, origin));
      else if (child.nodeType === Node.ELEMENT_NODE) drawn.push(...drawElement(child, origin));
    }
    if (seen) drawn.push(...drawGenerated(element, "::after", edge, origin));
    if (above) drawn.push(...before);
    if (drawn.length && style.overflowX !== "visible") drawn = clippedTo(place, drawn);
  }
  return style.opacity === "1" || !drawn.length ? drawn : [svg("g", { opacity: style.opacity }, drawn)];
}

// What an element shows, relative to `origin` in the window: {elements, bottom}.
function drawOf(element, origin) {
  const elements = [...element.children].flatMap((child) => drawElement(child, origin));
  const bottoms = [...element.querySelectorAll("*")].filter((one) => one.offsetParent !== null || one.matches("svg"));
  const bottom = bottoms.reduce((most, one) => Math.max(most, one.getBoundingClientRect().bottom), 0) - origin.top;
  return { elements, bottom };
}
return { drawOf };
})();
// tools/png.js
const $module86 = (() => {
// The resolution of PNG files.

const HEADER = 33; // bytes of a PNG's signature and its first chunk

function crc(bytes) {
  let value = ~0;
  for (const byte of bytes) {
    value ^= byte;
    for (let bit = 0; bit < 8; bit++) value = (value >>> 1) ^ (value & 1 ? 0xedb88320 : 0);
  }
  return ~value >>> 0;
}

// A PNG that says how many pixels make an inch.
function withResolution(png, dpi) {
  const chunk = new Uint8Array(21);
  const view = new DataView(chunk.buffer);
  const perMetre = Math.round(dpi / 0.0254);
  view.setUint32(0, 9);
  chunk.set(new TextEncoder().encode("pHYs"), 4);
  view.setUint32(8, perMetre);
  view.setUint32(12, perMetre);
  chunk[16] = 1;
  view.setUint32(17, crc(chunk.subarray(4, 17)));
  const whole = new Uint8Array(png.length + chunk.length);
  whole.set(png.subarray(0, HEADER));
  whole.set(chunk, HEADER);
  whole.set(png.subarray(HEADER), HEADER + chunk.length);
  return whole;
}
return { withResolution };
})();
// tools/paper.js
const $module87 = (() => {
const { pushButton } = $module5;
const { el, svg } = $module0;
const { download } = $module79;
const { nearestSnapshot } = $module1;
const { inWords, snapshotName } = $module7;
const { report } = $module3;
const { change, currentRun, state } = $module4;
const { drawOf } = $module85;
const { versusWords } = $module76;
const { withResolution } = $module86;
// Figures for papers: a panel as SVG on white and in light colours, whatever the page's theme, with real text. PNG and
// PDF are made of the same drawing, so that all of them show what the page shows.












const DPI = 300;
const INCH = 96; // CSS pixels
const MARGIN = 6;
const frame = () => new Promise((done) => requestAnimationFrame(done));

// Lays the section out at the width of a paper's page, in light colours, while `use` looks at it. `prepare` fills it
// first, and returns what takes that back.
function onPaper(section, use, prepare) {
  turn = turn.then(
    () => layOut(section, use, prepare),
    () => layOut(section, use, prepare),
  );
  return turn;
}

let turn = Promise.resolve(); // of the figures that were asked for: one after the other, since each changes the theme

async function layOut(section, use, prepare) {
  const { theme } = state;
  const scrolled = window.scrollY;
  change({ theme: "light" }); // canvases are painted in the theme's colours
  section.classList.add("on-paper");
  let tidy = null;
  try {
    await frame();
    await frame();
    tidy = await prepare?.();
    for (let tries = 0; tries < 100 && section.querySelector("[aria-busy=true]"); tries++)
      await new Promise((done) => setTimeout(done, 20));
    return use();
  } finally {
    tidy?.();
    section.classList.remove("on-paper");
    change({ theme });
    window.scrollTo(0, scrolled);
  }
}

const SCALES = {
  natural: "the natural scale of each kind of map",
  image: "each map has its own scale",
  column: "each column has its own scale",
  run: "each column has one scale for all epochs",
  global: "all columns have one scale",
  manual: "one scale with limits that were set",
};

// What is drawn and of which run; of what follows the chosen epoch, that too; of maps, what their colours mean.
function caption(section) {
  const run = currentRun();
  const { id, textContent } = section.querySelector("h2");
  const snapshot = ["maps", "attention"].includes(id) ? nearestSnapshot(run, state.epoch) : null;
  const of = id === "curves" ? report.runs.map((one) => one.name) : [run.name];
  const words = inWords(textContent, ...of, snapshot && !run.export ? snapshotName(snapshot) : "");
  if (id !== "maps") return words;
  const against = versusWords();
  const clipped = Number(state.clip) && state.scale !== "manual" ? `, clipped by ${state.clip} % at both ends` : "";
  return `${words}${against ? `, A ${against[0]}, B ${against[1]}, ${state.compare}` : ""}; ${SCALES[state.scale]}${clipped}`;
}

// The panel as an SVG element: its size in points, so that 7 inches of it are 7 inches on paper.
function figureOf(section, prepare) {
  const draw = () => {
    const edge = section.getBoundingClientRect();
    const words = svg("text", { fill: "#000", "font-size": 12, "font-family": "sans-serif" }, caption(section));
    const drawn = drawOf(section, { left: edge.left - MARGIN, top: edge.top - MARGIN });
    const [width, height] = [edge.width + 2 * MARGIN, Math.ceil(drawn.bottom) + 24];
    words.setAttribute("x", MARGIN);
    words.setAttribute("y", height - 8);
    return svg(
      "svg",
      {
        xmlns: "http://www.w3.org/2000/svg",
        viewBox: `0 0 ${width} ${height}`,
        width: `${(width * 72) / INCH}pt`,
        height: `${(height * 72) / INCH}pt`,
      },
      svg("title", {}, caption(section)),
      svg("rect", { width, height, fill: "#fff" }),
      drawn.elements,
      words,
    );
  };
  return onPaper(section, draw, prepare);
}

function textOf(figure) {
  return new XMLSerializer().serializeToString(figure);
}

function sizeOf(figure) {
  return figure.getAttribute("viewBox").split(" ").slice(2).map(Number);
}

async function pngOf(figure) {
  const picture = new Image();
  picture.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(textOf(figure))}`;
  await picture.decode();
  const [width, height] = sizeOf(figure).map((side) => Math.round((side * DPI) / INCH));
  const canvas = el("canvas", { width, height });
  canvas.getContext("2d").drawImage(picture, 0, 0, width, height);
  const blob = await new Promise((done) => canvas.toBlob(done, "image/png"));
  return new Blob([withResolution(new Uint8Array(await blob.arrayBuffer()), DPI)], { type: "image/png" });
}

// Opens the print dialog on a page of the figure's size; browsers save it as PDF, with its fonts.
function printFigure(figure) {
  const [width, height] = sizeOf(figure);
  const page = new CSSStyleSheet();
  page.replaceSync(`@page { size: ${width}px ${height}px; margin: 0; }`);
  const place = el("div", { class: "paper-figure" }, figure);
  const tidy = () => {
    place.remove();
    document.documentElement.classList.remove("printing-figure");
    document.adoptedStyleSheets = document.adoptedStyleSheets.filter((one) => one !== page);
  };
  document.body.append(place);
  document.documentElement.classList.add("printing-figure");
  document.adoptedStyleSheets = [...document.adoptedStyleSheets, page];
  window.addEventListener("afterprint", tidy, { once: true });
  window.print();
}

// Buttons that save a section's panel as a figure. `prepare`: see `onPaper`; `more`: {kind: text()} of other files.
function makeFigureButtons(section, { prepare = null, more = {}, words = (kind) => kind } = {}) {
  const title = section.querySelector("h2");
  const name = (kind) => `${currentRun().name.replace(/[^\w.-]+/g, "_")}-${title.id}.${kind.toLowerCase()}`;
  const figure = () => figureOf(section, prepare);
  const makers = {
    SVG: async () => download(name("SVG"), new Blob([textOf(await figure())], { type: "image/svg+xml" })),
    PNG: async () => download(name("PNG"), await pngOf(await figure())),
    PDF: async () => printFigure(await figure()),
  };
  for (const [kind, text] of Object.entries(more))
    makers[kind] = () => download(name(kind), new Blob([text()], { type: `text/${kind.toLowerCase()}` }));
  return Object.entries(makers).map(([kind, make]) =>
    pushButton(words(kind), make, { class: "quiet", "aria-label": `${title.textContent} as ${kind}` }),
  );
}

// Puts them next to the section's title.
function addFigureButtons(section, options) {
  const title = section.querySelector("h2");
  const buttons = el("span", { class: "figure-buttons" }, makeFigureButtons(section, options));
  const line = title.closest(".section-line") ?? el("div", { class: "section-line" });
  if (!line.contains(title)) {
    title.replaceWith(line);
    line.append(title);
  }
  title.after(buttons);
}
return { makeFigureButtons, addFigureButtons };
})();
// tools/player.js
const $module88 = (() => {
const { el } = $module0;
const { epochRange, nearestSnapshot, recordedEpochs } = $module1;
const { epochName } = $module7;
const { change, currentRun, state, watch } = $module4;
// The epoch: a slider with a tick for every logged epoch, a button that plays them, and a text that describes what
// is shown.






const STEP_MS = 700;

function makeTimer(onchange) {
  let timer = null;
  const stop = () => {
    clearInterval(timer);
    timer = null;
    onchange();
  };
  const step = () => {
    if (state.epoch >= epochRange(currentRun())[1]) stop();
    else change({ epoch: state.epoch + 1 });
  };
  const play = () => {
    const [first, last] = epochRange(currentRun());
    if (state.epoch >= last) change({ epoch: first });
    timer = setInterval(step, STEP_MS);
    onchange();
  };
  return { running: () => timer !== null, stop, toggle: () => (timer ? stop() : play()) };
}

function epochWords(run, last) {
  const snapshot = nearestSnapshot(run, state.epoch);
  const elsewhere = snapshot && snapshot.epoch !== state.epoch;
  const note = elsewhere ? `maps of ${epochName(snapshot.epoch)}, the nearest logged` : null;
  return [
    el("strong", {}, epochName(state.epoch ?? 0)),
    el("span", { class: "muted" }, ` of ${last + 1}`),
    ...(note ? [el("span", { class: "nearest-note" }, note)] : []),
  ];
}

function epochTicks(run, first, last) {
  return recordedEpochs(run).map((epoch) => {
    const tick = el("i");
    tick.style.left = `${last > first ? (100 * (epoch - first)) / (last - first) : 0}%`;
    return tick;
  });
}

function makePlayer() {
  const move = () => change({ epoch: Number(slider.value) });
  const slider = el("input", { type: "range", step: "1", id: "epoch", "aria-label": "Epoch", oninput: move });
  const ticks = el("div", { class: "ticks", "aria-hidden": "true" });
  const text = el("output", { class: "epoch-text", for: "epoch", "aria-live": "polite" });
  const timer = makeTimer(() => show());
  const button = el("button", { type: "button", class: "play", onclick: timer.toggle });
  const player = el(
    "div",
    { class: "player", role: "region", "aria-label": "Epoch" },
    button,
    el("div", { class: "slider" }, slider, ticks),
    text,
  );

  function show() {
    const run = currentRun();
    const [first, last] = epochRange(run) ?? [0, 0];
    player.hidden = run.export || !epochRange(run);
    Object.assign(slider, { min: first, max: last, value: state.epoch ?? 0 });
    slider.disabled = button.disabled = first === last;
    slider.setAttribute("aria-valuetext", epochName(state.epoch ?? 0));
    button.textContent = timer.running() ? "❚❚" : "▶";
    button.setAttribute("aria-label", timer.running() ? "Pause" : "Play the epochs");
    text.replaceChildren(...epochWords(run, last));
    ticks.replaceChildren(...epochTicks(run, first, last));
  }
  watch((values) => {
    if ("run" in values && timer.running()) timer.stop();
    else show();
  });
  show();
  return player;
}
return { makePlayer };
})();
// tools/toolbar.js
const $module89 = (() => {
const { pushButton } = $module5;
const { el } = $module0;
const { watch } = $module4;
// A row of buttons, each of which opens a panel of controls below it.





// panels: [{name, title, element, badge: () => text}]. Several may be open on a wide screen.
function makeToolbar(panels, ...extras) {
  const buttons = panels.map(({ name, title, element, badge }) => {
    element.id = `panel-${name}`;
    element.classList.add("panel");
    element.hidden = true;
    const count = el("span", { class: "badge" });
    const button = pushButton([title, count], () => open(name, element.hidden), {
      "aria-controls": element.id,
      "aria-expanded": "false",
      "data-panel": name,
    });
    const show = () => {
      count.textContent = badge?.() ?? "";
      count.hidden = !count.textContent;
    };
    watch(show);
    show();
    return button;
  });

  function open(name, wanted) {
    panels.forEach((panel, i) => {
      const now = panel.name === name && wanted;
      panel.element.hidden = !now;
      buttons[i].setAttribute("aria-expanded", String(now));
    });
  }
  const line = el("div", { class: "toolbar" }, buttons, el("span", { class: "extras" }, extras));
  return el(
    "div",
    { class: "tools" },
    line,
    panels.map((panel) => panel.element),
  );
}
return { makeToolbar };
})();
// tools/views.js
const $module90 = (() => {
const { labelled, pushButton } = $module5;
const { el } = $module0;
const { report } = $module3;
// Views that the reader saves under a name: addresses, kept in the browser for this report's runs.





const place = `cv_attention.views.${report.runs.map((run) => run.identity).join(".")}`;

// [{name, address}], in the order in which they were saved.
function savedViews() {
  try {
    const kept = JSON.parse(localStorage.getItem(place) ?? "[]");
    return kept.filter(({ name, address }) => typeof name === "string" && String(address).startsWith("#"));
  } catch {
    return []; // nothing was stored, or it cannot be read
  }
}

function keepViews(views) {
  try {
    localStorage.setItem(place, JSON.stringify(views));
    return true;
  } catch {
    return false;
  }
}

// Copies the address, which holds the view; where the browser forbids that, shows it selected, to be copied by hand.
function makeLink(status) {
  const field = el("input", { type: "text", class: "address", readonly: "", hidden: true, "aria-label": "Link to this view" });
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(location.href);
      status.textContent = "Copied: the link opens the page with these filters, columns and scales.";
    } catch {
      field.value = location.href;
      field.hidden = false;
      field.select();
      status.textContent = "Copy the link from the field.";
    }
  };
  return [pushButton("Copy link to this view", copy), field];
}

function makeViews(onchange) {
  const name = el("input", { type: "text", name: "view", placeholder: "errors of seed 1", maxlength: 80 });
  const list = el("ul", { class: "views" });
  const status = el("span", { class: "muted", role: "status" });
  function draw() {
    const rows = savedViews().map((view) =>
      el(
        "li",
        {},
        el("a", { href: view.address, class: "view-link" }, el("bdi", {}, view.name)),
        pushButton("×", () => forget(view), { "aria-label": `Forget the view ${view.name}`, class: "quiet" }),
      ),
    );
    list.replaceChildren(...rows);
    onchange();
  }
  function forget(view) {
    keepViews(savedViews().filter((one) => one.name !== view.name));
    draw();
  }
  function save() {
    const wanted = name.value.trim();
    if (!wanted) return name.focus();
    const others = savedViews().filter((one) => one.name !== wanted);
    const kept = keepViews([...others, { name: wanted, address: location.hash || "#" }]);
    status.textContent = kept ? `Saved as ${wanted}.` : "This browser keeps nothing for files; copy the address instead.";
    draw();
  }
  name.addEventListener("keydown", (event) => event.key === "Enter" && save());
  queueMicrotask(draw);
  const line = el("span", { class: "joined" }, labelled("Name of this view", name), pushButton("Save", save));
  return el("div", { class: "controls" }, line, list, makeLink(status), status);
}

function countViews() {
  return savedViews().length || "";
}
return { makeViews, countViews };
})();
// main.js
const $module91 = (() => {
const { pushButton } = $module5;
const { el } = $module0;
const { report } = $module3;
const { change, currentRun, readAddress, state } = $module4;
const { recallTheme } = $module6;
const { makeReadout } = $module12;
const { makeGrid } = $module41;
const { makeLarge } = $module42;
const { recallNotes } = $module23;
const { makeAttention } = $module49;
const { makeBags } = $module50;
const { makeConfusion } = $module52;
const { makeCurves, shownCurvesAsCsv } = $module61;
const { makeFaithfulness } = $module63;
const { hasGlimpses, makeGlimpses } = $module64;
const { makeLabels } = $module65;
const { makeNetwork } = $module67;
const { makeHeader, makeOverview } = $module68;
const { makeMemory } = $module69;
const { hasReadings, makeReading } = $module73;
const { makeRuns } = $module60;
const { activeFilters, makeActive } = $module74;
const { countColumns, makeColumnChooser } = $module75;
const { comparedWords, makeCompare, makeVersus } = $module76;
const { makeBar, makeTabs } = $module77;
const { makeDisplay } = $module78;
const { makeExport } = $module81;
const { makeFilters, makeSearch, makeSort } = $module82;
const { listenToKeys, showKeys } = $module83;
const { countNotes, makeNotes } = $module84;
const { addFigureButtons, makeFigureButtons } = $module87;
const { makePlayer } = $module88;
const { makeToolbar } = $module89;
const { countViews, makeViews } = $module90;
// Assembles the page.
//
// Folders use each other in one direction: core, what everything uses; drawing of maps and charts; samples, their list;
// panels, the sections about whole runs, and tools, what surrounds the list, which do not know each other; this file.
// The page of a study is another one of the same parts: study.js.




































function makeMaps() {
  const run = currentRun();
  const title = el("h2", { id: "maps" }, "Maps");
  if (!report.runs.some((one) => one.probes.length && one.epochs.length)) {
    if (report.runs.some((one) => hasReadings(one) || hasGlimpses(one))) return {}; // they have their own section
    const text = run.probes.length
      ? "No maps have been logged yet."
      : "No probe images have been recorded in this run.";
    const hint = "log.maps_every and log.probes set when maps are recorded, and of how many images.";
    return {
      element: el(
        "section",
        { "aria-labelledby": "maps" },
        title,
        el("p", { class: "empty" }, `${text} ${hint}`),
      ),
    };
  }
  const heads = el("div", { class: "heads" });
  const grid = makeGrid(heads);
  const against = makeVersus(() => grid.frame);
  const keys = pushButton("Keys", showKeys, { class: "quiet" });
  const line = el("div", { class: "section-line" }, title, keys);
  const element = el("section", { "aria-labelledby": "maps", class: "maps" }, line);
  const words = (kind) => `View as ${kind}`;
  const tools = makeToolbar(
    [
      { name: "filters", title: "Filters", element: makeFilters(), badge: activeFilters },
      { name: "display", title: "Display", element: makeDisplay() },
      { name: "columns", title: "Columns", element: makeColumnChooser(), badge: countColumns },
      { name: "compare", title: "Compare", element: makeCompare(), badge: comparedWords },
      { name: "views", title: "Views", element: makeViews(() => change({ views: true })), badge: countViews },
      { name: "notes", title: "Notes", element: makeNotes(grid.listed), badge: countNotes },
      {
        name: "export",
        title: "Export",
        element: makeExport(grid, makeFigureButtons(element, { prepare: grid.spread, words })),
        badge: () => state.selected.length || "",
      },
    ],
    makeSearch(),
    makeSort(),
  );
  against.show();
  element.append(tools, makeActive(), el("div", { class: "sticky" }, against.element, heads), grid.element);
  return { element, grid };
}

// The sections in their order: the maps come first. Their list shows a few images until the reader asks for all.
function makeSections(maps) {
  const makers = [
    makeOverview,
    () => maps,
    makeReading,
    makeGlimpses,
    makeRuns,
    makeCurves,
    makeNetwork,
    makeLabels,
    makeAttention,
    makeConfusion,
    makeFaithfulness,
    makeBags,
    makeMemory,
  ];
  return makers.map((make) => make()).filter(Boolean);
}

// Sections that can be saved as figures, by the ids of their titles, and what is particular about them.
const FIGURES = {
  maps: (grid) => ({ prepare: grid.spread }),
  curves: () => ({ more: { CSV: shownCurvesAsCsv } }),
  network: () => ({}),
  attention: () => ({}),
  classes: () => ({}),
  labels: () => ({}),
  faithfulness: () => ({}),
};

function start() {
  const root = document.getElementById("report");
  if (!report.runs.length) {
    const text = "The data of this report is missing: data/report.*.js was not loaded.";
    root.append(el("p", { class: "empty" }, text));
    return;
  }
  recallTheme();
  recallNotes();
  readAddress();
  const maps = makeMaps();
  const sections = makeSections(maps.element);
  for (const section of sections) {
    const particular = FIGURES[section.getAttribute("aria-labelledby")];
    if (particular && !section.querySelector(":scope > .empty")) addFigureButtons(section, particular(maps.grid));
  }
  root.append(makeHeader(), makeBar(sections, makeTabs(), makePlayer()), el("main", {}, sections), makeReadout());
  const large = makeLarge();
  root.append(large.element);
  large.show();
  listenToKeys(maps.grid);
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  dark.addEventListener("change", () => change({ theme: state.theme })); // bars are painted in the theme's colours
  window.addEventListener("hashchange", () => {
    readAddress();
    change({ ...state });
  });
}

start();
return {  };
})();
})();
