// The reader's choices. They are kept in the URL (after the #), so that a view can be saved and shared.
// A panel adds its choices as one more line, here or in its own file.

const report = window.cvAttentionReport ?? { runs: [] };

function clampNumber(text, low, high, otherwise) {
  const value = Number.parseFloat(text);
  return Number.isFinite(value) ? Math.min(high, Math.max(low, value)) : otherwise;
}

// Kinds of fields: their default, and how they are read from and written to the URL.
const aNumber = (start, low, high) => ({
  start,
  read: (text) => clampNumber(text, low, high, start),
  write: (value) => String(Number(value.toFixed(4))),
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
const anIndex = () => ({
  start: null,
  read: (text) => (/^\d{1,9}$/.test(text) ? Number(text) : null),
  write: String,
});

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
  scale: aChoice("image", ["image", "column", "run", "global"]),
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
  sort: aText(""),
  down: aSwitch(true),
  sample: anIndex(),
  selected: aList([]),
  // what maps are compared with
  versus: aText(""),
  compare: aChoice("difference", ["difference", "swipe", "blink"]),
  split: aNumber(0.5, 0, 1),
};
const THEMES = ["auto", "light", "dark"];
const state = { theme: "auto" }; // kept in the browser, not in the URL
for (const [name, field] of Object.entries(FIELDS)) state[name] = field.start;
const watchers = [];

function watch(update) {
  watchers.push(update);
}

function currentRun() {
  return report.runs[state.run];
}

// All epochs that the slider visits: those with curves and those with maps.
function epochRange(run) {
  const known = run.epochs.map((snapshot) => snapshot.epoch);
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

// Default columns: saliency, then the last maps of the network, which are the easiest to read.
function defaultColumns(run) {
  const saliency = run.columns.filter((column) => column.source === "saliency").map((column) => column.index);
  const attention = run.columns
    .filter((column) => column.source !== "saliency")
    .map((column) => column.index);
  return [...saliency, ...attention.slice(-Math.max(2, 6 - saliency.length))];
}

function shownColumns(run) {
  const chosen = state.columns ?? defaultColumns(run);
  return [...new Set(chosen)].map((index) => run.columns[index]).filter(Boolean);
}

function change(values) {
  const runChanged = "run" in values && values.run !== state.run;
  Object.assign(state, values);
  if (runChanged) for (const name of ["columns", "sample", "label", "predicted"]) state[name] = null;
  if (runChanged) Object.assign(state, { selected: [], sort: "", versus: "" });
  settle();
  writeAddress();
  for (const update of watchers) update(values);
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
  if (!isSort(run, state.sort)) forget("sort", "down");
  if (!isFlag(run, state.flag)) forget("flag");
}

function readAddress() {
  const given = new URLSearchParams(location.hash.slice(1));
  for (const [name, field] of Object.entries(FIELDS)) {
    state[name] = given.has(name) ? field.read(given.get(name)) : field.start;
  }
  settle();
}

function writeAddress() {
  const kept = new URLSearchParams();
  for (const [name, field] of Object.entries(FIELDS)) {
    const value = state[name];
    if (value === null || String(value) === String(field.start)) continue;
    kept.set(name, field.write(value));
  }
  try {
    history.replaceState(null, "", `#${kept.toString().replaceAll("%2C", ",")}`);
  } catch {
    // Some browsers reject this for files, or if it happens too often; the page works without it.
  }
}
