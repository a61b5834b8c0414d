// What the reader has chosen. It lives in the address (after the #), so that a view can be kept and shared.

const report = window.cvAttentionReport ?? { runs: [] };

const OPACITY = 0.65;
const state = {
  run: 0,
  epoch: null,
  opacity: OPACITY,
  colours: "viridis",
  scale: "image",
  smooth: true,
  box: true,
  size: 132,
  columns: null,
  show: "all",
  theme: "auto",
};
const CHOICES = {
  colours: ["viridis", "inferno", "magma", "cividis", "grey"],
  scale: ["image", "column", "run"],
  show: ["all", "correct", "wrong"],
  theme: ["auto", "light", "dark"],
};
const START = { ...state };
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

function nearestSnapshot(run, epoch) {
  let best = null;
  for (const snapshot of run.epochs) {
    if (!best || Math.abs(snapshot.epoch - epoch) < Math.abs(best.epoch - epoch)) best = snapshot;
  }
  return best;
}

// Without a choice: saliency, then the last maps that the network makes, which are the easiest to read.
function defaultColumns(run) {
  const saliency = run.columns.filter((column) => column.source === "saliency").map((column) => column.index);
  const attention = run.columns
    .filter((column) => column.source !== "saliency")
    .map((column) => column.index);
  return [...saliency, ...attention.slice(-Math.max(2, 6 - saliency.length))];
}

function shownColumns(run) {
  const chosen = state.columns ?? defaultColumns(run);
  return chosen.map((index) => run.columns[index]).filter(Boolean);
}

function clampNumber(text, low, high, otherwise) {
  const value = Number.parseFloat(text);
  return Number.isFinite(value) ? Math.min(high, Math.max(low, value)) : otherwise;
}

function change(values) {
  const runChanged = "run" in values && values.run !== state.run;
  Object.assign(state, values);
  if (runChanged) state.columns = null;
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
}

function readAddress() {
  const given = new URLSearchParams(location.hash.slice(1));
  const number = (name, low, high) => {
    if (given.has(name)) state[name] = clampNumber(given.get(name), low, high, START[name]);
  };
  number("run", 0, 1e6);
  number("opacity", 0, 1);
  number("size", 64, 320);
  if (given.has("epoch")) state.epoch = clampNumber(given.get("epoch"), 0, 1e9, 1) - 1;
  for (const [name, choices] of Object.entries(CHOICES)) {
    if (choices.includes(given.get(name))) state[name] = given.get(name);
  }
  for (const name of ["smooth", "box"]) if (given.has(name)) state[name] = given.get(name) !== "0";
  if (given.has("columns")) {
    state.columns = given.get("columns").split(",").filter(Boolean).map(Number).filter(Number.isInteger);
  }
  settle();
}

function writeAddress() {
  const kept = new URLSearchParams();
  if (state.epoch !== null) kept.set("epoch", state.epoch + 1);
  for (const name of ["run", "opacity", "colours", "scale", "size", "show"]) {
    if (state[name] !== START[name]) kept.set(name, state[name]);
  }
  for (const name of ["smooth", "box"])
    if (state[name] !== START[name]) kept.set(name, state[name] ? "1" : "0");
  if (state.columns) kept.set("columns", state.columns.join(","));
  try {
    history.replaceState(null, "", `#${kept.toString().replaceAll("%2C", ",")}`);
  } catch {
    // Some browsers refuse this for files, or when it comes too often; the page works without.
  }
}
