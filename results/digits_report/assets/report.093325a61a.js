(() => {
"use strict";
// Elements from names, attributes and children. Text becomes text nodes, never markup: class names, file
// names and configuration values come from outside.

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

// Numbers and names as text.

function formatValue(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e5)) return value.toExponential(1).replaceAll("-", "−");
  const digits = size >= 100 ? 1 : size >= 10 ? 2 : 3;
  return String(Number(value.toFixed(digits))).replace("-", "−");
}

function formatPercent(share, digits = 0) {
  return share === null || share === undefined ? "–" : `${(100 * share).toFixed(digits)} %`;
}

// Whether a metric of this name is a share: it is then told in percent.
function isShare(name, value) {
  return /acc|top|pointing/.test(name) && value >= 0 && value <= 1;
}

// Epochs are counted as people count them: the epoch with index 4 is the fifth.
function epochName(epoch) {
  return epoch < 0 ? "before training" : `epoch ${epoch + 1}`;
}

// The same of a recording; that of a saliency export belongs to no epoch.
function snapshotName(snapshot) {
  return snapshot.run.export ? "" : epochName(snapshot.epoch);
}

function inWords(...parts) {
  return parts.filter(Boolean).join(", ");
}

function className(run, index) {
  if (index === null || index === undefined) return "unknown";
  return run.classes[index] ?? `class ${index}`;
}

// ".map" ends the name of every recorded submodule and tells nothing.
function columnName(column) {
  return column.title.replace(/(\.attention)?\.map$/, "") || column.title;
}

const KINDS = { grad_cam: "Grad-CAM" };

function kindName(column) {
  const name = KINDS[column.kind] ?? column.kind;
  return columnName(column).endsWith(name) ? "" : name;
}

const METRIC_WORDS = {
  pointing: "Share of the test images on which the highest value of Grad-CAM for the true class lies in the true box",
  pointing_chance: "Share of the test images on which a random point lies in the true box: what pointing is to be compared with",
};

// One sentence on a metric of the test whose name does not tell enough, or nothing.
function metricWords(name) {
  return METRIC_WORDS[name] ?? null;
}

function metricName(name) {
  const words = name.replace(/[_/]+/g, " ").trim();
  return words.charAt(0).toUpperCase() + words.slice(1);
}

// What the reader has chosen. It lives in the address (after the #), so that a view can be kept and shared.
// A panel adds what it lets the reader choose as one more line, here or in its own file.

const report = window.cvAttentionReport ?? { runs: [] };

function clampNumber(text, low, high, otherwise) {
  const value = Number.parseFloat(text);
  return Number.isFinite(value) ? Math.min(high, Math.max(low, value)) : otherwise;
}

// Kinds of fields: what they start with, and how they are read from the address and written to it.
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
const state = { theme: "auto" }; // kept in the browser, not in the address
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

// The logged epoch nearest to this one; the nearest in which a column was logged, where one is given.
function nearestSnapshot(run, epoch, column = null) {
  let best = null;
  for (const snapshot of run.epochs) {
    if (column && !snapshot.maps[column.index]) continue;
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

// What an address asks for and the run does not have falls back to how the page begins.
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
    // Some browsers refuse this for files, or when it comes too often; the page works without.
  }
}

// Fields that show and change one part of the state.

function labelled(label, field, ...classes) {
  return el("label", { class: ["control", ...classes].join(" ") }, el("span", {}, label), field);
}

// options: {value: text}, or a function of the run that returns it, or groups {title: {value: text}}.
function select(name, label, options, onpick = (value) => change({ [name]: value })) {
  const field = el("select", { name, onchange: () => onpick(field.value) });
  let filled = "";
  const show = () => {
    const now = typeof options === "function" ? options(currentRun()) : options;
    const signature = JSON.stringify(now);
    if (signature !== filled) field.replaceChildren(...optionElements(now));
    filled = signature;
    field.value = state[name] ?? "";
  };
  watch(show);
  show();
  return labelled(label, field);
}

function optionElements(options) {
  return Object.entries(options).map(([value, text]) =>
    typeof text === "object"
      ? el("optgroup", { label: value }, optionElements(text))
      : el("option", { value }, text),
  );
}

function range(name, label, low, high, step, format, onmove = (value) => change({ [name]: value })) {
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

function toggleControl(name, label) {
  const field = el("input", { type: "checkbox", name, onchange: () => change({ [name]: field.checked }) });
  const show = () => (field.checked = state[name]);
  watch(show);
  show();
  return el("label", { class: "control check" }, field, el("span", {}, label));
}

function pushButton(text, onclick, attributes = {}) {
  return el("button", { type: "button", onclick, ...attributes }, text);
}

// A dialog over the page: Escape closes it, and the focus goes back to where it was.

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

// Colour tables: a number of evenly spaced colours each, as rrggbb one after another, with straight lines
// between. viridis, inferno and magma (S. van der Walt, N. Smith) and cividis (J. Nuñez et al.) are
// perceptually uniform and dedicated to the public (CC0). The two for signed maps run over white, with the
// lightness of OKLab falling evenly to both sides; the colour-blind tell their ends apart.

const ANCHORS = {
  viridis:
    "440154470d6048186a482374472d7b4537814240863e49893b528b375b8d33638d" +
    "2f6b8e2c728e297a8e26828e23898e21908c1f978b1f9f8821a68527ad8131b57b" +
    "3ebc744dc26c5cc8636ece5882d34d95d840aadc32c0df25d5e21aeae51afde725",
  inferno:
    "0000040403120b0724150b37210c4a2f0a5b3d09654a0c6b56106e63156e70196e" +
    "7d1e6d89226a962766a32c61af315bbb3654c63d4dd14545da4f3ce35932eb6529" +
    "f1721ef67f14f98c0afb9b06fcaa0ffbba1ff9c932f5d949f2e865f3f586fcffa4",
  magma:
    "0000040303120a0822130d341d114729115a36106b440f7650127c5d177f691c81" +
    "7621818226818f2a819c2e7fa9337db6367ac33b75cf4070db476ae65164ee5c5e" +
    "f46a5cf9785dfb8861fd9668fea571feb47bfec287fed194fde0a1fceeb0fcfdbf",
  cividis:
    "00224e00285b002e6a0533711a386f273e6e32436d3b496c434e6c4b546c535a6d" +
    "5a5f6e61656f686a716f70737676767c7c788381798b8778928d789a9376a29975" +
    "aaa073b3a670bbad6dc3b369ccba64d4c15fddc858e6d051efd748f8df3cfee838",
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

// The table as a CSS gradient, for colour bars.
function gradient(name) {
  const colours = ANCHORS[name].match(/.{6}/g);
  return `linear-gradient(to right, ${colours.map((colour) => `#${colour}`).join(", ")})`;
}

// Keeps what was used last, up to a number of bytes.

// load(key) promises {value, bytes}. `now` gives what is there already, or undefined.
function makeCache(budget, load) {
  const kept = new Map(); // key -> {promise, value, bytes}, the longest unused first
  let total = 0;

  function trim() {
    for (const [key, entry] of kept) {
      if (total <= budget) return;
      if (entry.value === undefined) continue; // still on its way
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

// Maps and images come in scripts that are added when they are needed, since a page from file:// cannot fetch
// files. Each calls cvAttentionShard(key, payload). One holds the maps of one column in one epoch for a block
// of samples.

const PER_SHARD = report.blocks ?? { maps: 64, pictures: 16 };
const arrived = new Map();

window.cvAttentionShard = (key, payload) => arrived.set(key, payload);
for (const run of report.runs) for (const snapshot of run.epochs) snapshot.run = run;

function loadScript(key, hash) {
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
  if (!packed) return { value: null, bytes: 0 }; // the folder is not complete
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

// The map of one sample: {values, height, width, lo, hi}; channel gates have height 1. Null where it was not
// logged.
async function loadMap(snapshot, column, probe) {
  if (followsTarget(snapshot, column)) return loadClassMap(snapshot, column, probe);
  const block = Math.floor(probe / PER_SHARD.maps);
  const hash = snapshot.maps[column.index]?.[block];
  const all = hash && (await mapCache.get(mapKey(snapshot, column, block), hash));
  return all ? cutMap(all, probe) : null;
}

// The same where it is in memory already, else undefined.
function mapNow(snapshot, column, probe) {
  if (followsTarget(snapshot, column)) return classMapNow(snapshot, column, probe);
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

// The image of one sample as a data URL, or null where there is none.
async function loadPicture(run, probe) {
  const block = Math.floor(probe / PER_SHARD.pictures);
  const urls = await plainCache.get(`${run.folder}/images-${block}`, run.pictures[block], 4e5);
  return urls[probe % PER_SHARD.pictures];
}

function pictureNow(run, probe) {
  const block = Math.floor(probe / PER_SHARD.pictures);
  return plainCache.now(`${run.folder}/images-${block}`)?.[probe % PER_SHARD.pictures];
}

async function decode(maps) {
  const letters = atob(maps.data);
  const packed = new Uint8Array(letters.length);
  for (let i = 0; i < packed.length; i++) packed[i] = letters.charCodeAt(i);
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  return maps.type === "f16" ? fromHalf(bytes) : fromSteps(bytes, maps);
}

let halves = null; // every float16 by its bits

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

// Canvases are painted a few at a time, so that scrolling stays smooth however many are waiting.

const PAINT_MS = 8; // of each frame of the screen

const waiting = new Set();
let painting = false;

// `job.paint()` is called soon, once however often it was asked for.
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
}

// A map of numbers as pixels.

const SMOOTH_SIDE = 128; // less than a cell on the screen: to draw a canvas smaller costs more than to draw it larger

// The numbers that the ends of the colour bar stand for. Signed maps keep zero in the middle.
function valueRange(run, snapshot, column, map) {
  const [lo, hi] = state.scale === "image" ? [map.lo, map.hi] : sharedRange(run, snapshot, column);
  if (lo === null || hi === null || lo > hi) return null;
  return column.signed ? symmetric(lo, hi) : [lo, hi];
}

function symmetric(lo, hi) {
  const most = Math.max(Math.abs(lo), Math.abs(hi));
  return [-most, most];
}

function sharedRange(run, snapshot, column) {
  const alike = (other) => other.bars === column.bars && other.signed === column.signed;
  const columns = state.scale === "global" ? shownColumns(run).filter(alike) : [column];
  let lo = Infinity;
  let hi = -Infinity;
  for (const epoch of state.scale === "column" ? [snapshot] : run.epochs) {
    for (const { index } of columns) {
      const range = epoch.ranges[index];
      if (!range) continue;
      lo = Math.min(lo, range[0]);
      hi = Math.max(hi, range[1]);
    }
  }
  return [lo, hi];
}

// Draws at native resolution, or smoothly enlarged: numbers are interpolated and then coloured, so that no
// colour appears that the table does not have. What lies below the threshold, a share of the colour bar,
// stays transparent; on a signed bar that is what lies near zero.
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

// White just inside of the level and black just outside, to be seen on every colour.
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

// The colours as the 32 bits that a pixel has in memory (little-endian, as all browsers' machines are).
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

// Between which cells every pixel lies, and how far from the nearer one to the left.
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

// size: width and height of the canvas on the screen; asking it again for every canvas would be slow.
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

function valueBounds(lines) {
  const values = lines.flatMap((line) => line.points.map((point) => point[2]));
  const low = values.reduce((a, b) => Math.min(a, b));
  const high = values.reduce((a, b) => Math.max(a, b));
  const room = (high - low) * 0.06 || Math.abs(high) * 0.1 || 1;
  return [low >= 0 ? Math.max(0, low - room) : low - room, high + room];
}

// Epochs and values <-> pixels of a plot of this size.
function makeScales(width, height, xs, ys) {
  const inner = width - MARGIN.left - MARGIN.right;
  const tall = height - MARGIN.top - MARGIN.bottom;
  return {
    width,
    height,
    xs,
    ys,
    x: (value) => MARGIN.left + ((value - xs[0]) / (xs[1] - xs[0])) * inner,
    y: (value) => height - MARGIN.bottom - ((value - ys[0]) / (ys[1] - ys[0])) * tall,
    epochAt: (pixel) =>
      Math.min(xs[1], Math.max(xs[0], xs[0] + ((pixel - MARGIN.left) / inner) * (xs[1] - xs[0]))),
  };
}

function drawAxes({ width, height, xs, ys, x, y }, format) {
  const right = width - MARGIN.right;
  const rows = roundTicks(...ys, 6).map((tick) =>
    svg(
      "g",
      { class: "tick" },
      svg("line", { x1: MARGIN.left, x2: right, y1: y(tick), y2: y(tick) }),
      svg("text", { x: MARGIN.left - 7, y: y(tick) + 4, "text-anchor": "end" }, format(tick)),
    ),
  );
  const columns = roundTicks(...xs, Math.min(10, width / 60)).filter(Number.isInteger);
  const below = height - MARGIN.bottom + 17;
  return [
    ...rows,
    ...columns.map((tick) =>
      svg("text", { class: "tick", x: x(tick), y: below, "text-anchor": "middle" }, String(tick)),
    ),
    svg("text", { class: "axis", x: right, y: height - 4, "text-anchor": "end" }, "epochs trained"),
  ];
}

function drawLine({ x, y }, line) {
  const points = line.points.map((point) => `${x(point[0]).toFixed(1)},${y(point[2]).toFixed(1)}`).join(" ");
  return svg("polyline", { class: `curve line-${line.colour}${line.dashed ? " dashed" : ""}`, points });
}

function drawUpright({ x, height }, at, name, title) {
  const ends = { x1: x(at), x2: x(at), y1: MARGIN.top, y2: height - MARGIN.bottom };
  return svg("line", { class: name, ...ends }, title && svg("title", {}, title));
}

// One chart with its legend: the values at the chosen epoch, or under the pointer; a click chooses an epoch.

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

function makeLegend(lines, format) {
  const values = lines.map(() => el("output", { class: "legend-value" }));
  const rows = lines.map((line, i) => {
    const swatch = el("span", { class: line.dashed ? "swatch dashed" : "swatch" });
    return el(
      "li",
      { class: `line-${line.colour}` },
      swatch,
      el("span", { class: "legend-name" }, line.label),
      values[i],
    );
  });
  const tell = (at) => {
    lines.forEach((line, i) => {
      values[i].textContent = at === null ? "" : format(nearestPoint(line.points, at)[2], true);
    });
  };
  return { element: el("ul", { class: "legend" }, rows), tell };
}

// lines: [{label, colour: 0-7, dashed, points: [[epochs trained, step, value]]}]; marks: where training was
// resumed.
function makeChart({ title, lines, marks, format, onpick }) {
  const plot = svg("svg", { class: "plot", role: "img", "aria-label": `${title}, by epochs trained` });
  const where = el("span", { class: "muted where" });
  const legend = makeLegend(lines, format);
  const head = el("figcaption", {}, el("h3", {}, title), where);
  const xs = [0, Math.max(1, ...lines.map((line) => line.points[line.points.length - 1][0]))];
  const ys = valueBounds(lines);
  let chosen = null;
  let hovered = null;
  let scales = null;

  function refresh() {
    const at = hovered ?? chosen;
    legend.tell(at);
    const point = at === null ? null : nearestPoint(lines[0].points, at);
    where.textContent = point ? `epoch ${formatValue(Number(point[0].toFixed(2)))} · step ${point[1]}` : "";
    if (!plot.clientWidth) return;
    scales = makeScales(plot.clientWidth, plot.clientHeight, xs, ys);
    plot.setAttribute("viewBox", `0 0 ${scales.width} ${scales.height}`);
    plot.replaceChildren(
      ...drawAxes(scales, format),
      ...marks.map((mark) => drawUpright(scales, mark, "resumed", "training resumed here")),
      ...lines.map((line) => drawLine(scales, line)),
    );
    if (at === null) return;
    plot.append(drawUpright(scales, at, hovered === null ? "chosen" : "cursor"));
    for (const line of lines) {
      const [x, , y] = nearestPoint(line.points, at);
      plot.append(
        svg("circle", { class: `dot line-${line.colour}`, cx: scales.x(x), cy: scales.y(y), r: 3.5 }),
      );
    }
  }

  function hover(event) {
    hovered = event && scales ? scales.epochAt(event.clientX - plot.getBoundingClientRect().left) : null;
    refresh();
  }
  plot.addEventListener("pointermove", hover);
  plot.addEventListener("pointerleave", () => hover(null));
  plot.addEventListener("click", (event) => {
    hover(event);
    if (hovered !== null) onpick(hovered);
  });
  new ResizeObserver(refresh).observe(plot);
  const choose = (at) => {
    chosen = at;
    refresh();
  };
  return { element: el("figure", { class: "chart" }, head, plot, legend.element), choose };
}

// The training curves: which metrics share a chart, and the colours of their lines.

const GROUPS = [
  { title: "Loss", fits: (name) => /loss/.test(name), format: formatValue },
  {
    title: "Accuracy",
    fits: (name) => /acc|top_?\d/.test(name),
    format: (value, exact) => formatPercent(value, exact ? 1 : 0),
  },
  { title: "Learning rate", fits: (name) => /^lr\b|^lr[-_/]/.test(name), format: formatValue },
];

function chartGroups() {
  const names = [...new Set(report.runs.flatMap((run) => Object.keys(run.series)))];
  const groups = GROUPS.map((group) => ({ ...group, names: names.filter((name) => group.fits(name)) }));
  const rest = names.filter((name) => !GROUPS.some((group) => group.fits(name)));
  groups.push(...rest.map((name) => ({ title: metricName(name), names: [name], format: formatValue })));
  return groups.filter((group) => group.names.length);
}

// One run: a colour for each metric. Several runs: a colour for each run, training dashed.
function linesOf(group) {
  const several = report.runs.length > 1;
  const alone = group.names.length === 1;
  const line = (run, number, name) => {
    const training = name.startsWith("train");
    const metric = alone ? group.title : metricName(name);
    const place = group.names.filter((other) => !other.startsWith("train")).indexOf(name) + 1;
    return {
      label: !several ? metric : alone ? run.name : `${run.name} · ${metric}`,
      colour: (several ? number : alone ? 0 : place) % 8,
      dashed: several && training,
      points: run.series[name],
    };
  };
  return report.runs.flatMap((run, number) =>
    group.names.filter((name) => run.series[name]?.length).map((name) => line(run, number, name)),
  );
}

function makeCurves() {
  if (report.runs.every((run) => run.export)) return null;
  const charts = chartGroups().map((group) =>
    makeChart({
      title: group.title,
      lines: linesOf(group),
      marks: report.runs.length === 1 ? report.runs[0].resumed : [],
      format: group.format,
      onpick: (at) => change({ epoch: Math.max(0, Math.ceil(at - 1e-6) - 1) }),
    }),
  );
  const choose = () => {
    for (const chart of charts) chart.choose(state.epoch === null ? null : state.epoch + 1);
  };
  watch((values) => {
    if ("epoch" in values || "run" in values) choose();
  });
  choose();
  const empty = el("p", { class: "empty" }, "No curves yet: nothing has been logged under metrics/.");
  return el(
    "section",
    { "aria-labelledby": "curves" },
    el("h2", { id: "curves" }, "Curves"),
    charts.length
      ? el(
          "div",
          { class: "charts" },
          charts.map((chart) => chart.element),
        )
      : empty,
  );
}

// The head of the page and what is known about the chosen run.

function makeHeader() {
  const several = report.runs.length > 1;
  const names = { auto: "Theme: system", light: "Theme: light", dark: "Theme: dark" };
  const theme = el("button", {
    type: "button",
    class: "quiet",
    onclick: () => {
      const order = THEMES;
      change({ theme: order[(order.indexOf(state.theme) + 1) % order.length] });
    },
  });
  const show = () => {
    theme.textContent = names[state.theme];
    if (state.theme === "auto") document.documentElement.removeAttribute("data-theme");
    else document.documentElement.dataset.theme = state.theme;
    try {
      localStorage.setItem("cv_attention.theme", state.theme);
    } catch {
      // Storage may be switched off for files; the theme is then forgotten.
    }
  };
  watch((values) => {
    if ("theme" in values) show();
  });
  show();
  const tabs =
    several &&
    el(
      "nav",
      { class: "tabs", "aria-label": "Runs" },
      report.runs.map((run, i) => {
        const tab = el("button", { type: "button", onclick: () => change({ run: i }) }, breakable(run.name));
        const mark = () => tab.setAttribute("aria-pressed", String(state.run === i));
        watch(mark);
        mark();
        return tab;
      }),
    );
  return el(
    "header",
    { class: "top" },
    el("div", { class: "top-line" }, el("p", { class: "eyebrow" }, report.runs.every((run) => run.export) ? "cv_attention · saliency report" : "cv_attention · training report"), theme),
    el("h1", {}, several ? `${report.runs.length} runs` : breakable(report.runs[0]?.name ?? "no run")),
    tabs,
  );
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
          el("div", { class: "tile" }, el("dt", {}, label), el("dd", {}, breakable(text))),
        ),
      ),
      ...run.notices.map((notice) => el("p", { class: "notice" }, notice)),
      ...[detail("Attention plan", run.plan), detail("Configuration", run.config)].filter(Boolean),
    );
  };
  watch((values) => {
    if ("run" in values) draw();
  });
  draw();
  return el("section", { "aria-label": "Overview" }, content);
}

// Zoom and pan, the same in all pictures: wheel with Ctrl, pinch or the keys zoom, dragging moves. (x, y) is the
// point of the image in the middle of its frame.

function setZoom(zoom, x = state.x, y = state.y) {
  const clamped = Math.min(16, Math.max(1, zoom));
  const half = 0.5 / clamped;
  const inside = (at) => Math.min(1 - half, Math.max(half, at));
  change({ zoom: clamped, x: inside(x), y: inside(y) });
}

// Where in the image a point of the frame is, both in shares of width and height.
function throughZoom(across, down) {
  return [state.x + (across - 0.5) / state.zoom, state.y + (down - 0.5) / state.zoom];
}

function linkZoom(grid) {
  const style = () => {
    const { zoom, x, y } = state;
    grid.style.setProperty("--zoom", zoom);
    grid.style.setProperty("--shift-x", `${100 * (0.5 - x * zoom)}%`);
    grid.style.setProperty("--shift-y", `${100 * (0.5 - y * zoom)}%`);
    const [cut] = throughZoom(state.split, 0);
    grid.style.setProperty("--cut", `${100 * Math.min(1, Math.max(0, cut))}%`);
    grid.style.setProperty("--split", `${100 * state.split}%`);
    grid.classList.toggle("zoomed", zoom > 1);
  };
  watch(style);
  style();
  const frameOf = (event) => event.target.closest?.(".frame:not(.gates)");
  const shares = (frame, event) => {
    const edge = frame.getBoundingClientRect();
    return [(event.clientX - edge.left) / edge.width, (event.clientY - edge.top) / edge.height, edge];
  };
  grid.addEventListener(
    "wheel",
    (event) => {
      const frame = frameOf(event);
      if (!frame || !(event.ctrlKey || event.metaKey)) return;
      event.preventDefault();
      const [across, down] = shares(frame, event);
      const [x, y] = throughZoom(across, down);
      const zoom = Math.min(16, Math.max(1, state.zoom * 2 ** (-event.deltaY / 200)));
      setZoom(zoom, x - (across - 0.5) / zoom, y - (down - 0.5) / zoom); // what is under the pointer stays there
    },
    { passive: false },
  );
  listenToDrags(grid, frameOf, shares);
}

function listenToDrags(grid, frameOf, shares) {
  let held = null; // {frame, x, y, across, down}
  grid.addEventListener("pointerdown", (event) => {
    const frame = frameOf(event);
    const swiping = state.versus && state.compare === "swipe";
    if (!frame || event.button !== 0 || !(swiping || state.zoom > 1)) return;
    const [across, down] = shares(frame, event);
    held = { frame, swiping, x: state.x, y: state.y, across, down };
    frame.setPointerCapture(event.pointerId);
    if (swiping) change({ split: across });
  });
  grid.addEventListener("pointermove", (event) => {
    if (!held) return;
    const [across, down] = shares(held.frame, event);
    if (held.swiping) change({ split: Math.min(1, Math.max(0, across)) });
    else
      setZoom(
        state.zoom,
        held.x - (across - held.across) / state.zoom,
        held.y - (down - held.down) / state.zoom,
      );
  });
  const release = () => (held = null);
  for (const name of ["pointerup", "pointercancel"]) grid.addEventListener(name, release);
}

// The value under the pointer, and the pointer's place on all maps of the same image.

const readout = el("div", { class: "readout", "aria-hidden": "true" });

function showReadout(event, text) {
  readout.textContent = text;
  readout.classList.add("shown");
  const most = document.documentElement.clientWidth - readout.offsetWidth - 6;
  const left = Math.max(4, Math.min(event.clientX + 14, most));
  const top = Math.max(4, event.clientY - readout.offsetHeight - 12);
  readout.style.transform = `translate(${left}px, ${top}px)`;
}

function hideReadout() {
  readout.classList.remove("shown");
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
  if (!other) return `${text} · ${where}`;
  const minus = difference
    ? ` · A − B ${valueAt(difference, x, y)}${shown.scaled ? " of their ranges" : ""}`
    : "";
  return `A ${text} · B ${valueAt(other, x, y)}${minus} · ${where}`;
}

function valueAt(map, x, y) {
  const value = map.values[Math.floor(y * map.height) * map.width + Math.floor(x * map.width)];
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
    cell.frame.addEventListener("pointermove", (event) => {
      const text = cell.read(event);
      if (text) showReadout(event, text);
      else hideReadout();
    });
    cell.frame.addEventListener("pointerleave", hideReadout);
  }
}

// Notes and tags on samples. They live in the browser until the reader saves them as a file to keep.

const notesKey = `cv_attention.notes.${report.runs.map((run) => run.name).join("|")}`;
const notes = new Map(); // "run name\nsample" -> {note, tags}

const noteKey = (run, index) => `${run.name}\n${sampleKeys(run)[index]}`;

function noteOf(run, index) {
  return notes.get(noteKey(run, index));
}

function knownTags(run) {
  const mine = [...notes].filter(([key]) => key.startsWith(`${run.name}\n`));
  return [...new Set(mine.flatMap(([, note]) => note.tags))].sort();
}

function setNote(run, index, note, tags) {
  if (note || tags.length) notes.set(noteKey(run, index), { note, tags });
  else notes.delete(noteKey(run, index));
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
    const [run, sample] = key.split("\n");
    return { run, sample, ...about };
  });
  return JSON.stringify({ cv_attention_notes: 1, notes: rows }, null, 1);
}

// What the page calls the sample of a note: notes written before names had folders know its file alone.
function sampleOfNote(name, sample) {
  const run = report.runs.find((one) => one.name === name);
  const keys = run ? sampleKeys(run) : [];
  if (keys.includes(sample)) return sample;
  const alike = keys.filter((key) => key.endsWith(`/${sample}`));
  return alike.length === 1 ? alike[0] : sample;
}

// Takes over the notes of a file; throws where it is none. What it says replaces what was there for a sample.
function readNotes(text) {
  const content = JSON.parse(text);
  if (content?.cv_attention_notes !== 1 || !Array.isArray(content.notes))
    throw new Error("this is no file of notes");
  for (const { run, sample, note, tags } of content.notes) {
    if (typeof run !== "string" || !Array.isArray(tags)) throw new Error("a note in the file is broken");
    notes.set(`${run}\n${sampleOfNote(run, sample)}`, { note: String(note ?? ""), tags: tags.map(String) });
  }
  return content.notes.length;
}

function keepNotes() {
  try {
    localStorage.setItem(notesKey, notesAsText());
  } catch {
    // Without storage the file alone keeps them.
  }
  change({ notes: true });
}

function recallNotes() {
  try {
    const text = localStorage.getItem(notesKey);
    if (text) readNotes(text);
  } catch {
    // Nothing was kept, or it cannot be read.
  }
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
    keepNotes();
  };
  openDialog(`Note on ${sampleName(run, index)}`, [labelled("Note", text), labelled("Tags", tags)], save);
}

function makeNotes() {
  const told = el("span", { class: "muted", role: "status" });
  const file = el("input", {
    type: "file",
    accept: ".json,application/json",
    hidden: true,
    "aria-label": "Notes file",
  });
  file.addEventListener("change", async () => {
    try {
      const count = readNotes(await file.files[0].text());
      told.textContent = `${count} note${count === 1 ? "" : "s"} taken over.`;
      keepNotes();
    } catch (error) {
      told.textContent = `Not taken over: ${error.message}.`;
    }
    file.value = "";
  });
  const tag = el("input", { type: "text", name: "tag", placeholder: "tag" });
  const tagSelection = () => {
    const run = currentRun();
    for (const index of state.selected) {
      const known = noteOf(run, index) ?? { note: "", tags: [] };
      setNote(run, index, known.note, [...new Set([...known.tags, ...splitTags(tag.value)])]);
    }
    const count = state.selected.length;
    told.textContent = `${count} selected sample${count === 1 ? "" : "s"} tagged.`;
    keepNotes();
  };
  const save = () => download("notes.json", new Blob([notesAsText()], { type: "application/json" }));
  return el(
    "div",
    { class: "controls" },
    pushButton("Save notes as a file", save),
    pushButton("Load a file of notes", () => file.click()),
    file,
    el("span", { class: "joined" }, labelled("Tag for the selection", tag), pushButton("Tag", tagSelection)),
    told,
  );
}

function countNotes() {
  const run = currentRun();
  return [...notes.keys()].filter((key) => key.startsWith(`${run.name}\n`)).length || "";
}

// Which samples are listed, and in which order: pure functions of the run, the epoch and the reader's choice.

const SURE = 0.9;

// Flags that the predictions give; recorded flags and the reader's tags come on top.
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
  "sure and wrong": (run, snapshot, i) =>
    isRight(run, snapshot, i) === false && snapshot.confidence[i] >= SURE,
};

// True, false, or null where the class or the prediction is unknown.
function isRight(run, snapshot, i) {
  const { label } = run.probes[i];
  const predicted = snapshot.predictions[i];
  return label === null || predicted === null || predicted === undefined ? null : predicted === label;
}

// Flags and orders that tell one epoch from those before it.
const OF_THE_PAST = ["prediction changed", "forgotten", "never right", "loss-change", "flips"];

function fitsRun(run, name) {
  return run.epochs.length > 1 || !OF_THE_PAST.includes(name);
}

function countEach(words) {
  const counts = new Map();
  for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1);
  return counts;
}

// What tells the samples of a run apart: their names; with the class, and at last the number, where runs
// recorded before names had folders call several the same.
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

// What a sample is called where the eye falls first: its true class, or its name where that is unknown.
function sampleTitle(run, i) {
  const { label } = run.probes[i];
  return label === null ? sampleName(run, i) : className(run, label);
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

// All of these must hold.
function sampleTests(run, snapshot) {
  const tests = [];
  const words = state.search.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length) {
    tests.push((i) => {
      const text = `${sampleName(run, i)} ${i + 1}`.toLowerCase();
      return words.every((word) => text.includes(word));
    });
  }
  if (state.label !== null) tests.push((i) => run.probes[i].label === state.label);
  if (state.flag) tests.push((i) => hasFlag(run, snapshot, i, state.flag));
  if (!snapshot) return tests;
  if (state.show !== "all") tests.push((i) => isRight(run, snapshot, i) === (state.show === "correct"));
  if (state.predicted !== null) tests.push((i) => snapshot.predictions[i] === state.predicted);
  if (state.least > 0 || state.most < 1) {
    tests.push((i) => snapshot.confidence[i] >= state.least && snapshot.confidence[i] <= state.most);
  }
  return tests;
}

// What samples can be sorted by: values for each sample, null where unknown.
const SORTS = {
  loss: { text: "loss", values: (run, snapshot) => snapshot.losses },
  "loss-change": {
    text: "change of the loss since the epoch logged before",
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

function isSort(run, name) {
  if (["", "name"].includes(name)) return true;
  if (name in SORTS) return fitsRun(run, name);
  return /^\d+:./.test(name) && Boolean(run.columns[Number(name.split(":")[0])]);
}

const measuresHere = new WeakMap(); // snapshot -> its measures, once they have come

// The measures of the maps in one epoch; undefined while they are on their way, `change` is called then.
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

// The value of every sample that it is sorted by; null for the recorded order.
function sortValues(run, snapshot) {
  if (!state.sort || !snapshot) return null;
  if (state.sort === "name") return null;
  if (SORTS[state.sort]) return SORTS[state.sort].values(run, snapshot);
  const [column, ...name] = state.sort.split(":");
  const about = run.columns[Number(column)];
  const nearest = about && nearestSnapshot(run, state.epoch, about);
  return (nearest && measuresNow(nearest)?.[column]?.[name.join(":")]) ?? null;
}

// Indices of the listed samples in their order; unknown values come last either way.
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

// What a map is compared with: the same in another epoch, another column, or the same in another run.
// state.versus is "epoch:3", "column:5" or "run:1"; A is the map of the cell, B the other one.

function versus() {
  const [kind, text] = state.versus.split(":");
  const number = Number(text);
  return ["epoch", "column", "run"].includes(kind) && Number.isInteger(number) ? { kind, number } : null;
}

const sameSample = new Map(); // "run>other" -> index in the other run of each sample

// Whether two names can be those of one file: runs may tell more or fewer of its folders.
function sameFile(a, b) {
  return a === b || a.endsWith(`/${b}`) || b.endsWith(`/${a}`);
}

// The index in the other run of each sample, null where that cannot be told: the image of the same name and
// class; of the same place where several are called the same, or the run knows no names.
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

// The same column of another run; for a saliency method that it has not, its first other one.
function twinOf(column, columns) {
  const alike = columns.filter((one) => one.bars === column.bars);
  const same = alike.find((one) => one.title === column.title && one.kind === column.kind);
  if (same || column.source !== "saliency") return same;
  return alike.find((one) => one.source === "saliency");
}

// Why a map stands alone while others are compared.
function aloneWords() {
  const chosen = versus();
  if (!chosen) return "";
  return chosen.kind === "run" ? "not in B" : "not comparable";
}

// The layers to paint, and for the readout the maps that they come from; `words` tell how the two differ, and
// `badge` what the eye would not see.
function comparison(run, snapshot, plainColumn, map, partner, other) {
  const column = asShown(plainColumn);
  const plain = {
    map,
    range: valueRange(run, snapshot, column, map),
    table: tableOf(column),
    signed: column.signed,
  };
  if (!partner || !other || (column.bars && other.width !== map.width)) {
    const words = aloneWords();
    return { map, under: plain, words, badge: words };
  }
  if (state.compare === "difference") return { map, other, ...differenceLayer(column, partner, map, other) };
  const alike = partner.column.title === column.title && state.scale === "image";
  const both = alike ? unionOf(map, other, column.signed || partner.column.signed) : null;
  const there = valueRange(partner.snapshot.run, partner.snapshot, partner.column, other);
  const over = {
    map: other,
    range: both ?? there,
    table: tableOf(partner.column),
    signed: partner.column.signed,
  };
  return { map, other, under: { ...plain, range: both ?? plain.range }, over };
}

// Two maps of one kind share a colour bar, or they could not be compared by eye.
function unionOf(a, b, signed) {
  if (a.lo === null || b.lo === null) return null;
  const lo = Math.min(a.lo, b.lo);
  const hi = Math.max(a.hi, b.hi);
  return signed ? symmetric(lo, hi) : [lo, hi];
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
    under: { map: difference, range: [-most, most], table: state.signed, signed: true },
    words: most > 0 ? `differences up to ${formatValue(most)}` : NO_DIFFERENCE,
  };
}

function toShares(map) {
  const span = map.hi - map.lo || 1;
  return { ...map, values: map.values.map((value) => (value - map.lo) / span) };
}

// The picture of a sample, over which maps are laid. Frames are used again for other samples while scrolling.

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
    if (now === undefined) {
      loadPicture(run, index).then(
        (url) => bound === index && show(url),
        () => {},
      );
    }
  }
  return { slot, frame, bind };
}

// Channel gates have no picture beneath, and the same height.
function makeGateFrame(room, ...over) {
  const frame = el("div", { class: "frame gates" }, over);
  const slot = el("div", { class: "slot" }, frame);
  slot.style.aspectRatio = frame.style.aspectRatio = `1 / ${room}`;
  return { slot, frame, bind: () => {} };
}

// The class switch: which class the maps explain, where maps of several classes were recorded.

FIELDS.target = aChoice("predicted", ["predicted", "true", "second", "third", "difference"]);
state.target = "predicted";
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

// The class that is explained for one sample; of a difference the first of the two.
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

// A column as the switch makes it: a difference of two classes has a sign.
function asShown(column) {
  const signed = state.target === "difference" && column.kind === "grad_cam" && anyClassMaps;
  return signed ? { ...column, signed: true } : column;
}

// "for cat", "cat − dog": what a map explains, while that is not the predicted class everywhere.
function targetWords(snapshot, column, probe) {
  if (!snapshot || state.target === "predicted" || !anyClassMaps) return "";
  const run = snapshot.run;
  if (column.source !== "saliency") return "any class";
  if (!followsTarget(snapshot, column)) return `for ${className(run, snapshot.predictions[probe])}`;
  const explained = targetClass(snapshot, probe);
  const name = className(run, explained);
  if (state.target !== "difference") return `for ${name}`;
  const { label } = run.probes[probe];
  return label === explained ? "same class" : `${name} − ${className(run, label)}`;
}

function makeClassSwitch() {
  return anyClassMaps && select("target", "Class explained (Grad-CAM)", TARGETS);
}

// One map of one sample: canvas over the picture, colour bar with the values at its ends. While maps are
// compared a second canvas lies over the first.

function makeCell(run, column, room) {
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
  frame.append(elsewhere, target, compared);
  const scale = [el("span"), el("span", { class: column.bars ? "channels" : "bar" }), el("span")];
  const name = el("span", { class: "cell-name", title: column.title }, breakable(columnName(column)));
  const caption = el("figcaption", {}, name, el("span", { class: "scale" }, scale));
  const element = el("figure", { class: "cell", "data-column": column.index }, slot, caption);
  const cell = { element, frame, bars: column.bars, bind, paint, read, size: { width: 0, height: 0 } };
  let index = null;
  let shown = null; // {map, other, range, order}

  function bind(next) {
    index = next;
    shown = null;
    first.hidden = second.hidden = true;
    bindFrame(next);
  }

  function paint() {
    if (index === null) return;
    const bound = index;
    const snapshot = nearestSnapshot(run, state.epoch, column);
    const partner = partnerOf(run, snapshot, column, index);
    const here = [snapshot && { snapshot, column, index }, partner].filter(Boolean);
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
    if (shown && column.bars) shown.order = sortedGates(map);
    second.hidden = !shown?.over;
    const explained = map ? targetWords(snapshot, column, index) : "";
    target.hidden = !explained;
    target.textContent = explained;
    compared.textContent = shown?.badge ?? "";
    compared.hidden = !compared.textContent;
    const label = map ? `values ${formatValue(map.lo)} to ${formatValue(map.hi)}` : "not logged";
    const named = `${columnName(column)} ${explained}, image ${index + 1}: ${label}`.replace(" ,", ",");
    first.setAttribute("aria-label", shown?.words ? `${named}; ${shown.words}` : named);
    const usual = nearestSnapshot(run, state.epoch);
    elsewhere.hidden = !snapshot || snapshot === usual;
    if (snapshot) elsewhere.textContent = epochName(snapshot.epoch);
    if (!shown) for (const part of scale) part.textContent = "";
    else {
      paintLayer(first, shown.under, cell, shown.order);
      if (shown.over) paintLayer(second, shown.over, cell, shown.order);
      labelScale(scale, shown.under, column);
    }
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

function labelScale([left, middle, right], { map, range, table, signed }, column) {
  if (column.bars) {
    middle.textContent = `${map.width} ch`;
    left.textContent = formatValue(map.hi);
    right.textContent = formatValue(map.lo);
    return;
  }
  middle.style.backgroundImage = gradient(table);
  middle.dataset.table = table;
  middle.classList.toggle("signed", signed);
  left.textContent = formatValue(range?.[0]);
  right.textContent = formatValue(range?.[1]);
}

// What the network made of one image, epoch by epoch: a bar as high as the probability of the true class,
// coloured by whether the prediction was right. Click a bar to go there.

function historyWords(run, snapshot, probe) {
  const predicted = className(run, snapshot.predictions[probe]);
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

// The prediction for one image at the shown epoch, with the classes that came closest.

const TOP_SHOWN = 3;

function tellVerdict(element, run, snapshot, index) {
  const predicted = snapshot?.predictions[index];
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
    el("span", { class: "predicted" }, className(run, predicted)),
    el("span", { class: "number" }, formatPercent(snapshot.confidence[index])),
  );
}

function drawTop(list, run, best, label) {
  const rows = best.slice(0, TOP_SHOWN).map(([index, p]) => {
    const bar = el("span", { class: "p-bar" });
    bar.style.width = `${100 * p}%`;
    const name = el("span", { class: "p-name" }, className(run, index));
    return el(
      "li",
      { class: index === label ? "true-class" : null },
      bar,
      name,
      el("span", { class: "number" }, formatPercent(p)),
    );
  });
  list.replaceChildren(...rows);
}

// One sample in the list: its picture with label and prediction, then its maps side by side. A row is used
// again for another sample when it scrolls out of sight.

function makeSampleHead(run, room) {
  const picture = makeFrame(run, room);
  const parts = {
    picture,
    box: el("input", { type: "checkbox", class: "pick" }),
    number: el("span", { class: "number muted" }),
    file: el("bdi"),
    note: el("button", { type: "button", class: "note-button" }, "✎"),
    label: el("h3"),
    verdict: el("p", { class: "verdict" }),
    top: el("ol", { class: "top-classes", hidden: !run.epochs.some((one) => one.top.length) }),
    past: run.epochs.length > 1 ? makeHistory(run) : null,
    flags: el("p", { class: "flags" }),
  };
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
    parts.past?.element,
  );
  const shown = el("div", { class: "shown-picture" }, picture.slot, parts.flags);
  return { ...parts, element: el("div", { class: "sample" }, shown, about) };
}

// Adds a sample to the reader's selection, or takes it out.
function pickSample(index, wanted) {
  const rest = state.selected.filter((other) => other !== index);
  change({ selected: wanted ? [...rest, index].sort((a, b) => a - b) : rest });
}

function makeRow(run, columns, room) {
  const head = makeSampleHead(run, room);
  const cells = columns.map((column) => makeCell(run, column, room));
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
  head.picture.slot.addEventListener("click", () => change({ sample: row.index }));

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

  // Out of sight, to be used again.
  function release() {
    element.hidden = true;
    delete element.dataset.sample;
    element.removeAttribute("aria-current");
  }

  // What needs no map: texts and marks.
  function tell() {
    const { index } = row;
    const snapshot = nearestSnapshot(run, state.epoch);
    const note = noteOf(run, index);
    tellVerdict(head.verdict, run, snapshot, index);
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
      (best) => row.index === index && drawTop(head.top, run, best, run.probes[index].label),
      () => {},
    );
  }
  return row;
}

// The list of samples. Only the rows in sight exist; they are used again as the page scrolls.

const ROWS_BEYOND = 2; // above and below what is in sight
const HASTE = 1.5; // screens per frame beyond which nothing is painted until the scrolling calms down

function drawHeads(heads, run, columns, count) {
  const [some, all] = [count, run.probes.length].map((number) => number.toLocaleString("en"));
  const of = some === all ? "" : ` of ${all}`;
  const titles = columns.map((column) => {
    const name = el("span", { class: "head-name" }, breakable(columnName(column)));
    return el(
      "span",
      { class: "head", title: column.title },
      name,
      el("span", { class: "kind" }, kindName(column)),
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

// Why the list is empty: the numbers under Classes are of whole splits, the list is of a few images.
function emptyWords(run) {
  const words = "No image fits the filters at this epoch.";
  if (state.label === null && state.predicted === null) return words;
  const count = run.probes.length;
  return `${words} Only the ${count} image${count === 1 ? "" : "s"} that were recorded can be listed; the counts under Classes are of a whole split.`;
}

function makeGrid(heads) {
  const space = el("div", { class: "probe-space", role: "list", "aria-label": "Samples" });
  const none = el("p", { class: "empty", hidden: true });
  const grid = el("div", { class: "probes" }, space, none);
  const rows = new Map(); // position -> row
  let free = [];
  let listed = [];
  let columns = [];
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
    const row = free.pop() ?? makeRow(currentRun(), columns, room);
    if (!row.element.isConnected) space.append(row.element);
    return row;
  }

  // All rows are as high as the first one turns out to be: texts take one line each. Before the page shows the
  // list its rows have no height, and none is set: the list is measured again once it has a width.
  function measure() {
    space.style.removeProperty("--row");
    if (!rows.size) {
      const first = take();
      first.bind(listed[0], 0, listed.length); // shows it: a row out of use is hidden
      place(first, 0);
    }
    const row = rows.values().next().value;
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
      const before = known?.index; // one that was out of use may show the sample as it was long ago
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
    columns = shownColumns(run);
    room = tallest(run);
    rows.clear();
    free = [];
    space.replaceChildren();
    built = signature();
  }
  const signature = () => JSON.stringify([state.run, shownColumns(currentRun()).map((one) => one.index)]);

  function refresh(values = {}) {
    style();
    if (signature() !== built) rebuild();
    const next = listSamples(currentRun());
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
    drawHeads(heads, currentRun(), columns, listed.length);
    if (!listed.length) return;
    if (!height || !rows.size || !same || "size" in values) sizes = measure();
    update(true);
  }

  const style = () => {
    grid.style.setProperty("--opacity", state.opacity);
    grid.style.setProperty("--threshold", `${100 * state.threshold}%`);
    document.documentElement.style.setProperty("--cell", `${state.size}px`);
    grid.classList.toggle("without-boxes", !state.box);
  };
  const ask = () => {
    if (!asked) requestAnimationFrame(() => update());
    asked = true;
  };
  const light = new Set(["opacity", "split", "zoom", "x", "y", "box"]); // these need no painting
  watch((values) => {
    if (Object.keys(values).every((name) => light.has(name))) style();
    else if (Object.keys(values).every((name) => ["sample", "selected", "notes"].includes(name))) {
      if (state.flag) refresh();
      else for (const row of rows.values()) row.tell();
    } else refresh(values);
  });
  grid.addEventListener("scroll", () => (heads.scrollLeft = grid.scrollLeft), { passive: true });
  window.addEventListener("scroll", ask, { passive: true });
  let width = 0;
  new ResizeObserver(() => {
    if (grid.clientWidth === width || !listed.length) return;
    width = grid.clientWidth;
    sizes = measure();
    update(true);
  }).observe(grid);
  refresh();
  linkZoom(grid);

  // Moves to another sample of the list and shows it.
  function step(by) {
    if (!listed.length) return;
    const now = listed.indexOf(state.sample);
    const { first } = inSight();
    const next = now < 0 ? Math.min(listed.length - 1, first + (first ? ROWS_BEYOND : 0)) : now + by;
    const position = Math.min(listed.length - 1, Math.max(0, next));
    change({ sample: listed[position] });
    const above = coveredHeight() + 8;
    const top = space.getBoundingClientRect().top + position * height;
    if (top < above || top + height > window.innerHeight) window.scrollBy(0, top - above);
    update();
    rows.get(position)?.element.focus({ preventScroll: true });
  }
  return { element: grid, step, listed: () => listed, rows: () => [...rows.values()] };
}

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

// The epoch: a slider with a tick for every logged epoch, a button that plays them, and what is shown in
// words.

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
  return run.epochs.map(({ epoch }) => {
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
    player.hidden = run.export;
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

// How maps are drawn.

function makeDisplay() {
  const boxes = report.runs.some((run) => run.probes.some((probe) => probe.box));
  const percent = (value) => formatPercent(value);
  const scales = {
    image: "each image",
    column: "column, this epoch",
    run: "column, all epochs",
    global: "global: all columns",
  };
  const names = (choices) => Object.fromEntries(choices.map((name) => [name, name]));
  return el(
    "div",
    { class: "controls" },
    range("opacity", "Opacity", 0, 1, 0.05, percent),
    select("colours", "Colours", names(FIELDS.colours.choices)),
    select("signed", "Signed maps", names(FIELDS.signed.choices)),
    select("scale", "Normalised by", scales),
    range("threshold", "Threshold", 0, 1, 0.01, (value) => (value ? percent(value) : "off")),
    range("size", "Size", 64, 320, 4, (value) => `${value} px`),
    range(
      "zoom",
      "Zoom",
      1,
      16,
      0.1,
      (value) => `× ${Number(value.toFixed(1))}`,
      (value) => setZoom(value),
    ),
    range("x", "Centre, across", 0, 1, 0.01, percent, (value) => setZoom(state.zoom, value)),
    range("y", "Centre, down", 0, 1, 0.01, percent, (value) => setZoom(state.zoom, state.x, value)),
    toggleControl("smooth", "Smooth"),
    toggleControl("contour", "Contour"),
    makeClassSwitch(),
    boxes && toggleControl("box", "True box"),
    pushButton("Whole image", () => setZoom(1), { class: "quiet" }),
  );
}

// Finding samples: search by file name, filters, order.

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

// Measures by column, as far as they have come; they are asked for when somebody looks for them.
function sortOptions(run) {
  const fitting = Object.entries(SORTS).filter(([name]) => fitsRun(run, name));
  const plain = Object.fromEntries(fitting.map(([name, sort]) => [name, sort.text]));
  const options = { "": "as recorded", name: "file name", ...plain };
  const known = report.measured ?? {};
  for (const column of shownColumns(run)) {
    const names = known[`${run.folder}/${column.index}`] ?? [];
    const group = Object.fromEntries(names.map((name) => [`${column.index}:${name}`, name]));
    if (names.length) options[`map: ${columnName(column)}`] = group;
  }
  return options;
}

// Remembers which measures each column has.
function noteMeasures() {
  const run = currentRun();
  report.measured ??= {};
  for (const snapshot of run.epochs) {
    for (const [column, found] of Object.entries(measuresHere.get(snapshot) ?? {})) {
      const key = `${run.folder}/${column}`;
      report.measured[key] = [...new Set([...(report.measured[key] ?? []), ...Object.keys(found)])].sort();
    }
  }
}

function makeSearch() {
  const field = el("input", {
    type: "search",
    id: "search",
    placeholder: "Search file names",
    "aria-label": "Search file names",
    oninput: () => change({ search: field.value }),
    onkeydown: (event) => {
      if (event.key !== "Escape") return;
      change({ search: "" });
      field.blur(); // the keys of the page work again
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
  const clear = () =>
    change({ search: "", ...Object.fromEntries(FILTERS.map((name) => [name, FIELDS[name].start])) });
  return el(
    "div",
    { class: "controls" },
    select("label", "True class", classOptions, toIndex("label")),
    select("predicted", "Predicted class", classOptions, toIndex("predicted")),
    select("show", "Prediction", { all: "right or wrong", correct: "right", wrong: "wrong" }),
    range("least", "Confidence from", 0, 1, 0.01, percent),
    range("most", "Confidence to", 0, 1, 0.01, percent),
    select("flag", "Flag", flagOptions),
    pushButton("Clear all filters", clear, { class: "quiet" }),
  );
}

function activeFilters() {
  return FILTERS.filter((name) => state[name] !== FIELDS[name].start).length || "";
}

// The reader's choice of what maps are compared with, and the words that tell A from B.

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

function makeCompare() {
  const ways = { difference: "signed difference A − B", swipe: "swipe", blink: "blink" };
  const swipe = range("split", "Swipe", 0, 1, 0.01, (value) => formatPercent(value));
  const show = () => (swipe.hidden = state.compare !== "swipe");
  watch(show);
  show();
  return el(
    "div",
    { class: "controls" },
    select("versus", "Compare with", compareOptions),
    select("compare", "By", ways),
    swipe,
    el(
      "p",
      { class: "muted hint wide" },
      "Methods have different units: their difference is that of maps scaled to their own ranges.",
    ),
  );
}

// The line under the player that says what is A and what is B; it also makes maps blink.
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

// The selected samples, or all that are listed, as a table for other programs.

// Text that a spreadsheet would take for a formula gets an apostrophe before it.
function csvCell(value) {
  if (value === null || value === undefined) return "";
  const text = typeof value === "number" ? String(value) : String(value).replace(/^[=+\-@\t\r]/, "'$&");
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

async function selectionAsCsv(listed) {
  const run = currentRun();
  const snapshot = nearestSnapshot(run, state.epoch);
  const measures = snapshot ? await loadMeasures(snapshot).catch(() => ({})) : {};
  const columns = shownColumns(run).flatMap((column) =>
    Object.entries(measures[column.index] ?? {}).map(([name, values]) => ({
      name: `${columnName(column)}: ${name}`,
      values,
    })),
  );
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
      className(run, run.probes[i].label),
      className(run, known(snapshot?.predictions)),
      snapshot ? isRight(run, snapshot, i) : null,
      known(snapshot?.confidence),
      known(snapshot?.losses),
      flagsOf(run, snapshot, i).join("; "),
      note?.tags.join("; "),
      note?.note,
      ...columns.map((column) => known(column.values)),
    ];
  });
  const lines = [[...head, ...columns.map((column) => column.name)], ...rows];
  return `${lines.map((row) => row.map(csvCell).join(",")).join("\r\n")}\r\n`;
}

function download(name, blob) {
  const url = URL.createObjectURL(blob);
  const link = el("a", { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}

// The rows in sight as a picture: what is on the page is drawn again on one canvas, at twice its size.

const PICTURE_SCALE = 2;
const PICTURE_MARGIN = 16;

function drawText(context, element, origin) {
  const edge = element.getBoundingClientRect();
  const text = element.innerText?.trim();
  if (!text || !edge.width || !edge.height) return;
  const style = getComputedStyle(element);
  context.font = `${style.fontWeight} ${style.fontSize} ${style.fontFamily}`;
  context.fillStyle = style.color;
  context.textBaseline = "middle";
  const lines = text.split("\n");
  const height = edge.height / lines.length;
  lines.forEach((line, i) => {
    context.fillText(line, edge.left - origin.x, edge.top - origin.y + (i + 0.5) * height, edge.width + 2);
  });
}

// Image, maps and box of a frame as the page lays them over one another, cut at the frame's edge.
function drawFrame(context, frame, origin) {
  const edge = frame.getBoundingClientRect();
  context.save();
  context.beginPath();
  context.rect(edge.left - origin.x, edge.top - origin.y, edge.width, edge.height);
  context.clip();
  for (const layer of frame.querySelectorAll("img, canvas, .true-box")) {
    const at = layer.getBoundingClientRect();
    const style = getComputedStyle(layer);
    if (layer.hidden || style.display === "none" || style.visibility === "hidden" || !at.width) continue;
    const place = [at.left - origin.x, at.top - origin.y, at.width, at.height];
    context.save();
    context.globalAlpha = Number(style.opacity);
    context.imageSmoothingEnabled = style.imageRendering !== "pixelated";
    if (layer.matches(".true-box")) {
      context.strokeStyle = "#fff";
      context.lineWidth = 1.5;
      context.strokeRect(...place);
    } else if (layer.matches("img") ? layer.complete && layer.naturalWidth : true) {
      clipSwipe(context, layer, edge, origin);
      context.drawImage(layer, ...place);
    }
    context.restore();
  }
  context.restore();
}

function clipSwipe(context, layer, edge, origin) {
  if (!layer.closest(".swiping") || !layer.matches(".map")) return;
  const cut = edge.left - origin.x + state.split * edge.width;
  context.beginPath();
  if (layer.matches(".b")) context.rect(cut, edge.top - origin.y, edge.right - origin.x - cut, edge.height);
  else if (layer.nextElementSibling?.hidden === false)
    context.rect(edge.left - origin.x, edge.top - origin.y, cut - edge.left + origin.x, edge.height);
  else return;
  context.clip();
}

function drawBar(context, bar, origin) {
  const edge = bar.getBoundingClientRect();
  const table = bar.dataset.table;
  if (!table || !edge.width) return;
  const colours = colourTable(table);
  for (let x = 0; x < edge.width; x++) {
    const i = 3 * Math.round((255 * x) / Math.max(1, edge.width - 1));
    context.fillStyle = `rgb(${colours[i]} ${colours[i + 1]} ${colours[i + 2]})`;
    context.fillRect(edge.left - origin.x + x, edge.top - origin.y, 1, edge.height);
  }
}

const PICTURE_TEXTS =
  ".head-name, .head .kind, .about h3, .verdict > span, .sample-line .number, .file, .flags, .p-name, .top-classes .number, .scale > span:not(.bar)";

// A canvas with the rows that are in sight now.
function pictureOfView(grid, heads, rows) {
  const upper = heads.getBoundingClientRect();
  const seen = rows.filter((row) => {
    const edge = row.element.getBoundingClientRect();
    return (
      row.element.isConnected &&
      !row.element.hidden &&
      edge.bottom > upper.bottom + 20 &&
      edge.top < window.innerHeight
    );
  });
  const edges = seen.map((row) => row.element.getBoundingClientRect());
  const frame = grid.getBoundingClientRect();
  const bottom = Math.max(upper.bottom + 40, ...edges.map((edge) => edge.bottom));
  const top = Math.min(...edges.map((edge) => edge.top), bottom);
  const title = 34;
  const head = upper.height;
  const canvas = el("canvas", {
    width: Math.ceil(PICTURE_SCALE * (frame.width + 2 * PICTURE_MARGIN)),
    height: Math.ceil(PICTURE_SCALE * (bottom - top + head + title + PICTURE_MARGIN)),
  });
  const context = canvas.getContext("2d");
  context.scale(PICTURE_SCALE, PICTURE_SCALE);
  const style = getComputedStyle(document.body);
  context.fillStyle = style.backgroundColor;
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.fillStyle = style.color;
  context.font = `600 15px ${style.fontFamily}`;
  context.fillText(viewTitle(), PICTURE_MARGIN, 24);
  for (const text of heads.querySelectorAll(PICTURE_TEXTS))
    drawText(context, text, { x: frame.left - PICTURE_MARGIN, y: upper.top - title });
  const origin = { x: frame.left - PICTURE_MARGIN, y: top - title - head };
  for (const { element } of seen) {
    for (const one of element.querySelectorAll(".frame")) drawFrame(context, one, origin);
    for (const one of element.querySelectorAll(".bar")) drawBar(context, one, origin);
    for (const one of element.querySelectorAll(PICTURE_TEXTS)) drawText(context, one, origin);
  }
  return canvas;
}

function viewTitle() {
  const run = currentRun();
  const snapshot = nearestSnapshot(run, state.epoch);
  const words = versusWords();
  const against = words ? `A ${words[0]}, B ${words[1]}, ${state.compare}` : "";
  return [run.name, snapshot ? snapshotName(snapshot) : "", against].filter(Boolean).join(" · ");
}

function makeExport(grid, heads) {
  const name = () => {
    const run = currentRun();
    return run.name.replace(/[^\w.-]+/g, "_") + (run.export ? "" : `-epoch-${state.epoch + 1}`);
  };
  const picture = () => {
    const canvas = pictureOfView(grid.element, heads, grid.rows());
    canvas.toBlob((blob) => download(`${name()}.png`, blob), "image/png");
  };
  const table = async () => {
    const text = await selectionAsCsv(state.selected.length ? state.selected : grid.listed());
    download(`${name()}.csv`, new Blob([text], { type: "text/csv" }));
  };
  const told = el("span", { class: "muted" });
  const show = () => {
    const count = state.selected.length;
    told.textContent = count ? `${count} selected` : "nothing selected: the table holds all listed samples";
  };
  watch(show);
  show();
  return el(
    "div",
    { class: "controls" },
    pushButton("View as PNG", picture),
    pushButton("Samples as CSV", table),
    pushButton("Select all listed", () => change({ selected: [...grid.listed()] })),
    pushButton("Select none", () => change({ selected: [] })),
    told,
  );
}

// A line of buttons, each of which opens one panel of controls beneath it.

// panels: [{name, title, element, badge: () => text}]. Several may be open on a wide screen.
function makeToolbar(panels, ...beside) {
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
  const line = el("div", { class: "toolbar" }, buttons, el("span", { class: "beside" }, beside));
  return el(
    "div",
    { class: "tools" },
    line,
    panels.map((panel) => panel.element),
  );
}

// What the keys do, wherever the focus is, unless what has the focus uses them itself.

function makeKeys(grid) {
  const epochTo = (epoch) => change({ epoch });
  const bounds = () => epochRange(currentRun()) ?? [0, 0];
  const pan = (x, y) => setZoom(state.zoom, state.x + x / state.zoom, state.y + y / state.zoom);
  const click = (selector) => document.querySelector(selector)?.click();
  const pick = () => {
    if (state.sample !== null) pickSample(state.sample, !state.selected.includes(state.sample));
  };
  const next = (name) => {
    const { choices } = FIELDS[name];
    change({ [name]: choices[(choices.indexOf(state[name]) + 1) % choices.length] });
  };
  return [
    [["ArrowLeft"], "epoch before", () => epochTo(state.epoch - 1)],
    [["ArrowRight"], "next epoch", () => epochTo(state.epoch + 1)],
    [["Home"], "first epoch", () => epochTo(bounds()[0])],
    [["End"], "last epoch", () => epochTo(bounds()[1])],
    [["p"], "play or pause", () => click(".play")],
    [["g"], "to the maps", () => goTo("maps")],
    [["t"], "to the top", () => window.scrollTo(0, 0)],
    [["j"], "next sample", () => grid?.step(1)],
    [["k"], "sample before", () => grid?.step(-1)],
    [["x"], "select the sample", pick],
    [["n"], "note on the sample", () => state.sample !== null && editNote(currentRun(), state.sample)],
    [["/"], "search file names", () => document.getElementById("search")?.focus()],
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
    const moves = event.key.length > 1; // arrows, Home and End also serve sliders and scrolled texts
    if (moves && target.closest("input, pre, .plot, [data-own-keys]")) return;
    const action = actions.get(event.key);
    if (!action || !currentRun()) return;
    event.preventDefault();
    action();
  });
}

// The network as a drawing: its parts from left to right, the units of a stage one below the other, and a
// mark at every attention site. A click on a mark shows the site's maps.

FIELDS.site = aText(""); // title of the map that the attention panel shows
state.site = "";

const BOX = { width: 130, gap: 26, head: 46, unit: 26, foot: 38, top: 6 };

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

// Parts that have weights or cost something; the others are drawn nowhere.
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

// What a site's maps are: the last column of it, which for two gates is the one over positions.
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

function drawSite(run, site, x, y) {
  const [size, cost] = [`${site.channels} × ${site.height} × ${site.width}`, formatCount(site.parameters)];
  const words = `${site.label} ${site.place} ${site.name}: ${size}, ${cost} parameters, ${formatCount(site.flops)} FLOPs`;
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
  const section = el("section", { "aria-labelledby": "network" }, el("h2", { id: "network" }, "Network"), content);
  const draw = () => {
    const run = currentRun();
    section.hidden = !run.panels?.network;
    if (section.hidden) return;
    const focused = document.activeElement?.dataset?.site;
    const { sites } = run.panels.network;
    const hint = sites.length
      ? `${sites.length} attention site${sites.length === 1 ? "" : "s"}; choose one to see its maps.`
      : "No attention was inserted.";
    content.replaceChildren(drawNetwork(run), el("p", { class: "muted hint" }, hint));
    if (focused) content.querySelector(`[data-site="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  };
  watch((values) => {
    if ("run" in values || "site" in values) draw();
  });
  draw();
  return section;
}

// The confusion matrix, and how well each class is known. A click lists the samples of that cell.

FIELDS.counted = aChoice("test", ["test", "validation"]);
state.counted = FIELDS.counted.start;

const MOST_PAIRS = 8;
const MOST_NAMED = 20; // classes whose names fit beside the matrix

// What is counted at the chosen epoch: {classes, counts, words}, or null.
async function loadConfusion(run) {
  const { tested, confusion } = run.panels;
  const epochs = Object.keys(confusion).map(Number);
  if ((state.counted === "test" && tested) || !epochs.length) {
    if (!tested) return null;
    const found = await plainCache.get(`${run.folder}/confusion-test`, tested, 1e5);
    return { ...found, counted: "test", words: "test split, best checkpoint" };
  }
  const epoch = epochs.reduce((a, b) => (Math.abs(b - state.epoch) < Math.abs(a - state.epoch) ? b : a));
  const found = await plainCache.get(`${run.folder}/e${epoch}-confusion`, confusion[epoch], 1e5);
  return { ...found, counted: "validation", words: `validation split, ${epochName(epoch)}` };
}

// {sums: images of each true class, guessed: of each predicted class, right: rightly predicted}.
function countClasses({ classes, counts }) {
  const [sums, guessed, right] = [0, 0, 0].map(() => new Float64Array(classes));
  for (const [truth, guess, count] of counts) {
    sums[truth] += count;
    guessed[guess] += count;
    if (truth === guess) right[truth] += count;
  }
  return { sums, guessed, right };
}

// One pixel for each pair, coloured by its share of the true class; the style enlarges it.
function paintConfusion(canvas, { classes, counts }, sums) {
  canvas.width = canvas.height = classes;
  const values = new Float32Array(classes * classes);
  for (const [truth, guess, count] of counts) values[truth * classes + guess] = count / sums[truth];
  const map = { values, height: classes, width: classes };
  const plain = { smooth: false, threshold: 0, contour: false, signed: false };
  paintHeatmap(canvas, map, [0, 1], colourTable(state.colours), plain);
}

function listPair(label, predicted) {
  change({ label, predicted });
  goTo("maps");
}

// A class, or a pair of classes, as a link to its images; as text where none of them was recorded.
function linkToImages(run, text, label, predicted = null) {
  const snapshot = nearestSnapshot(run, state.epoch);
  const fits = (probe, i) =>
    probe.label === label && (predicted === null || snapshot.predictions[i] === predicted);
  if (snapshot && run.probes.some(fits))
    return pushButton(text, () => listPair(label, predicted), { class: "link" });
  return el("span", { title: "None of these images was recorded in this epoch." }, text);
}

function confusedPairs(run, { counts }, sums) {
  const wrong = counts.filter(([truth, guess]) => truth !== guess);
  const worst = wrong.sort((a, b) => b[2] - a[2]).slice(0, MOST_PAIRS);
  if (!worst.length) return el("p", { class: "muted" }, "No class was taken for another.");
  const rows = worst.map(([truth, guess, count]) =>
    el(
      "li",
      {},
      linkToImages(run, `${className(run, truth)} → ${className(run, guess)}`, truth, guess),
      el("span", { class: "number muted" }, `${count} of ${sums[truth]}`),
    ),
  );
  return el("div", { class: "pairs" }, el("h3", {}, "Taken for another"), el("ol", {}, rows));
}

function classRow(run, index, { sums, guessed, right }) {
  const share = sums[index] ? right[index] / sums[index] : null;
  const precision = guessed[index] ? right[index] / guessed[index] : null;
  const bar = el("i");
  bar.style.width = `${100 * (share ?? 0)}%`;
  const name = linkToImages(run, className(run, index), index);
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

function confusionCanvas(run, content, sums) {
  const canvas = el("canvas", { class: "confusion-map", role: "img", "aria-label": "Confusion matrix" });
  const at = (event) => {
    const edge = canvas.getBoundingClientRect();
    const cell = (share) => Math.min(content.classes - 1, Math.max(0, Math.floor(share * content.classes)));
    return [cell((event.clientY - edge.top) / edge.height), cell((event.clientX - edge.left) / edge.width)];
  };
  canvas.addEventListener("pointermove", (event) => {
    const [truth, guess] = at(event);
    const count = content.counts.find((entry) => entry[0] === truth && entry[1] === guess)?.[2] ?? 0;
    const share = formatPercent(sums[truth] ? count / sums[truth] : null, 1);
    showReadout(event, `${className(run, truth)} taken for ${className(run, guess)}: ${count} (${share})`);
  });
  canvas.addEventListener("pointerleave", hideReadout);
  canvas.addEventListener("click", (event) => listPair(...at(event)));
  paintConfusion(canvas, content, sums);
  const few = content.classes <= MOST_NAMED;
  const names = (side) =>
    few &&
    el(
      "ol",
      { class: `names-${side}`, "aria-hidden": "true" },
      Array.from({ length: content.classes }, (_, i) => el("li", {}, el("span", {}, className(run, i)))),
    );
  return el(
    "figure",
    { class: "confusion" },
    el("span", { class: "axis-y muted" }, "true class"),
    names("y"),
    canvas,
    names("x"),
    el("span", { class: "axis-x muted" }, "predicted class"),
  );
}

function countedOptions({ panels }) {
  const some = Object.keys(panels?.confusion ?? {}).length;
  return { ...(panels?.tested && { test: "test split" }), ...(some && { validation: "validation, this epoch" }) };
}

function makeConfusion() {
  const body = el("div", { class: "confusion-body" });
  const words = el("p", { class: "muted counted" });
  const choice = select("counted", "Counted on", countedOptions);
  const head = el("div", { class: "section-line" }, el("h2", { id: "classes" }, "Classes"), choice);
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
      confusionCanvas(run, content, counted.sums),
      confusedPairs(run, content, counted.sums),
      classTable(run, content, counted),
    );
  }
  watch((values) => {
    if (["run", "counted", "colours", "epoch"].some((name) => name in values)) draw();
  });
  draw();
  return section;
}

// Several runs side by side: what they are, what they cost, what they reached. A click on a title sorts.

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
    head.replaceChildren(
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
        return el("tr", { class: chosen ? "chosen" : null }, columns.map((column) => cell(column, run)));
      }),
    );
  }
  watch((values) => {
    if ("run" in values) draw();
  });
  draw();
  return el(
    "section",
    { "aria-labelledby": "runs" },
    el("h2", { id: "runs" }, "Runs"),
    el("div", { class: "table-frame", tabindex: "0" }, el("table", { class: "runs" }, el("thead", {}, head), body)),
  );
}

// What the attention panel needs of the recorded heads, pairwise maps and gate statistics.

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

// The maps of all heads for one sample: what every position receives.
function headMaps(all, sample) {
  const size = all.height * all.width;
  return Array.from({ length: all.heads }, (_, head) => {
    const i = sample * all.heads + head;
    const values = all.values.subarray(i * size, (i + 1) * size);
    return values.length ? { values, height: all.height, width: all.width } : null;
  }).filter(Boolean);
}

// Where one position looks, in every head.
function queryMaps(all, sample, query) {
  const size = all.height * all.width;
  if (sample >= all.images || query >= all.queries) return [];
  return Array.from({ length: all.heads }, (_, head) => {
    const i = (sample * all.heads + head) * all.queries + query;
    return { values: all.values.subarray(i * size, (i + 1) * size), height: all.height, width: all.width };
  });
}

// Channel gates: this image's as sorted bars, and how every channel's spread over the data set.

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
    showReadout(event, `${className(run, row)}, channel ${channel}: ${formatValue(value)}`);
  });
  canvas.addEventListener("pointerleave", hideReadout);
  return panelFigure("Mean by class (rows) and channel", canvas);
}

async function drawGates(run, column, sample) {
  const snapshot = nearestSnapshot(run, state.epoch, column);
  const map = snapshot && (await loadMap(snapshot, column, sample));
  const panel = await loadPanel(run, "gates", gateCache);
  const one = panel?.found.gates[column.title];
  const bars = el("canvas", { class: "gate-bars", role: "img", "aria-label": "Gates of this image, sorted" });
  const figures = [panelFigure(`Gates of this image, sorted (${map?.width ?? 0} channels)`, bars)];
  if (one) {
    const words = `Over ${panel.found.images} validation images, ${epochName(panel.epoch)}: median, middle half, nine tenths; dots: this image`;
    figures.push(panelFigure(words, drawSpread(one, map)), panelFigure("All values", drawHistogram(one)), drawByClass(run, one));
  }
  const paint = () => map && paintBars(bars, map, [map.lo, map.hi], sortedGates(map), { width: bars.clientWidth, height: bars.clientHeight });
  return { figures: figures.filter(Boolean), paint };
}

// The attention panel: one block's map of one image in full: gates, positions through the epochs, heads, and
// where each position looks.

FIELDS.query = anIndex();
state.query = null;

const ROLLOUT = "rollout";

function panelFigure(caption, ...content) {
  return el("figure", { class: "panel-figure" }, el("figcaption", {}, caption), content);
}

function attentionColumns(run) {
  return run.columns.filter((column) => column.source === "attention");
}

function hasRollout(run) {
  return attentionColumns(run).filter((column) => ["pairwise", "alignment"].includes(column.kind)).length > 1;
}

function siteChoices(run) {
  const choices = Object.fromEntries(
    attentionColumns(run).map((column) => [column.title, `${columnName(column)} · ${column.kind}`]),
  );
  return hasRollout(run) ? { ...choices, [ROLLOUT]: "rollout · all layers" } : choices;
}

function chosenSite(run) {
  const titles = Object.keys(siteChoices(run));
  return titles.includes(state.site) ? state.site : titles[titles.length - 1];
}

// A picture with a map over it, at the panel's size; it calls `onpick` with the position under a click.
function overlaid(run, sample, map, range, label, onpick = null) {
  const picture = el("img", { alt: "", draggable: "false" });
  const canvas = el("canvas", { role: "img", class: "map", "aria-label": label });
  const [width, height] = run.probes[sample].size ?? [map.width, map.height];
  const frame = el("div", { class: "overlaid" }, picture, canvas);
  frame.style.aspectRatio = `${width} / ${height}`;
  loadPicture(run, sample).then((url) => (url ? (picture.src = url) : picture.remove()));
  const { smooth, threshold, contour } = state;
  paintHeatmap(canvas, map, range, colourTable(state.colours), { smooth, threshold, contour, signed: false });
  canvas.style.opacity = state.opacity;
  const place = (event) => {
    const edge = frame.getBoundingClientRect();
    const cell = (share, count) => Math.min(count - 1, Math.max(0, Math.floor(share * count)));
    const y = cell((event.clientY - edge.top) / edge.height, map.height);
    return [y, cell((event.clientX - edge.left) / edge.width, map.width)];
  };
  frame.addEventListener("pointermove", (event) => {
    const [y, x] = place(event);
    const where = `row ${y}, column ${x} of ${map.height} × ${map.width}`;
    showReadout(event, `${formatValue(map.values[y * map.width + x])} · ${where}`);
  });
  frame.addEventListener("pointerleave", hideReadout);
  if (onpick) {
    frame.classList.add("pickable");
    frame.addEventListener("click", (event) => onpick(...place(event)));
  }
  return frame;
}

// The same map through all recorded epochs; a click goes there.
async function drawFilm(run, column, sample) {
  const snapshots = run.epochs.filter((snapshot) => snapshot.maps[column.index]);
  const now = nearestSnapshot(run, state.epoch, column);
  const frames = await Promise.all(
    snapshots.map(async (snapshot) => {
      const map = await loadMap(snapshot, column, sample);
      if (!map) return null;
      const label = `${columnName(column)}, ${epochName(snapshot.epoch)}`;
      const frame = overlaid(run, sample, map, valueRange(run, snapshot, column, map), label);
      const go = () => change({ epoch: snapshot.epoch });
      return el(
        "button",
        { type: "button", class: "film-frame", "aria-pressed": String(snapshot === now), onclick: go },
        frame,
        el("span", {}, epochName(snapshot.epoch)),
      );
    }),
  );
  return el("div", { class: "film" }, frames);
}

async function drawPositions(run, column, sample) {
  const snapshot = nearestSnapshot(run, state.epoch, column);
  const map = snapshot && (await loadMap(snapshot, column, sample));
  if (!map) return { figures: [el("p", { class: "muted" }, "Not logged.")] };
  const range = valueRange(run, snapshot, column, map);
  const large = overlaid(run, sample, map, range, `${columnName(column)}, this image`);
  const [size, ends] = [`${map.height} × ${map.width}`, `${formatValue(map.lo)} to ${formatValue(map.hi)}`];
  const figures = [panelFigure(inWords(snapshotName(snapshot), size, ends), large)];
  if (run.epochs.length > 1) figures.push(panelFigure("Through the epochs", await drawFilm(run, column, sample)));
  return { figures };
}

function headGrid(run, sample, maps, label) {
  const frames = maps.map((map, i) => {
    const name = maps.length > 1 ? `head ${i + 1}` : "all heads";
    const frame = overlaid(run, sample, map, finiteRange(map.values), `${label}, ${name}`);
    return el("figure", { class: "head-map" }, frame, el("figcaption", {}, name));
  });
  return el("div", { class: "head-grid" }, frames);
}

// A click on a position, or the arrow keys, choose whose look is shown.
function queryPicker(run, sample, all) {
  const query = Math.min(state.query ?? Math.floor(all.queries / 2 + all.width / 2), all.queries - 1);
  const grid = all.queries === all.height * all.width;
  const values = new Float32Array(all.height * all.width).fill(NaN);
  if (grid) values[query] = 1;
  const map = { values, height: all.height, width: all.width };
  const pick = (y, x) => change({ query: y * all.width + x });
  const frame = overlaid(run, sample, map, [0, 1], "Choose a position", grid ? pick : null);
  const mark = el("span", { class: "query-mark" });
  const [y, x] = [Math.floor(query / all.width), query % all.width];
  const [down, across] = [100 / all.height, 100 / all.width];
  Object.assign(mark.style, { left: `${x * across}%`, top: `${y * down}%`, width: `${across}%`, height: `${down}%` });
  if (grid) frame.append(mark);
  const step = el("input", {
    type: "range",
    min: 0,
    max: all.queries - 1,
    value: query,
    name: "query",
    "aria-label": "Position whose look is shown",
    oninput: (event) => change({ query: Number(event.target.value) }),
  });
  return { query, element: el("div", { class: "query" }, frame, step) };
}

async function drawSelfAttention(run, title, sample) {
  const heads = await loadPanel(run, "heads", headCache);
  const pairs = await loadPanel(run, "pairwise", headCache);
  const figures = [];
  const all = heads?.found[title];
  if (all) {
    const words = `What each head attends to, ${epochName(heads.epoch)}`;
    figures.push(panelFigure(words, headGrid(run, sample, headMaps(all, sample), words)));
  }
  const pairwise = pairs?.found[title];
  if (pairwise && sample < pairwise.images) {
    const { query, element } = queryPicker(run, sample, pairwise);
    const words = `Where position ${query} looks, ${epochName(pairs.epoch)}`;
    const looks = headGrid(run, sample, queryMaps(pairwise, sample, query), words);
    looks.classList.add("looks");
    figures.unshift(panelFigure("Choose a position", element), panelFigure(words, looks));
  } else if (pairwise) {
    const words = `Where positions look is kept of the first ${pairwise.images} images.`;
    figures.push(el("p", { class: "muted" }, words));
  }
  return { figures };
}

async function drawAttention(run, title, sample) {
  const column = run.columns.find((one) => one.title === title);
  const pairs = column && ["pairwise", "alignment"].includes(column.kind) && Object.keys(run.panels?.heads ?? {}).length;
  if (!column || pairs) {
    const drawn = await drawSelfAttention(run, title, sample);
    if (drawn.figures.length || !column) return drawn;
  }
  return column.bars ? drawGates(run, column, sample) : drawPositions(run, column, sample);
}

// Steps through the samples; the grid's chosen sample is the same one.
function sampleStepper() {
  const shown = el("output");
  const step = (by) => {
    const count = currentRun().probes.length;
    change({ sample: ((state.sample ?? 0) + by + count) % count });
  };
  const show = () => {
    const run = currentRun();
    const at = state.sample ?? 0;
    if (run.probes[at]) shown.textContent = `${at + 1} of ${run.probes.length}: ${sampleTitle(run, at)}`;
  };
  watch(show);
  show();
  const before = pushButton("‹", () => step(-1), { "aria-label": "Previous image" });
  const after = pushButton("›", () => step(1), { "aria-label": "Next image" });
  return el("div", { class: "stepper", role: "group", "aria-label": "Image" }, before, shown, after);
}

const ATTENTION_STATE = ["run", "epoch", "site", "sample", "query", "colours", "smooth", "opacity", "scale", "theme"];

function makeAttention() {
  const body = el("div", { class: "attention-body" });
  const site = select("site", "Map", siteChoices);
  const tools = el("div", { class: "panel-tools" }, site, sampleStepper());
  const section = el("section", { "aria-labelledby": "attention" }, el("h2", { id: "attention" }, "Attention"), tools, body);
  let turn = 0;
  async function draw() {
    const run = currentRun();
    section.hidden = !attentionColumns(run).length || !run.probes.length;
    if (section.hidden) return;
    const now = ++turn;
    const title = chosenSite(run);
    site.querySelector("select").value = title;
    body.setAttribute("aria-busy", "true");
    const focused = document.activeElement?.name === "query";
    const drawn = await drawAttention(run, title, state.sample ?? 0).catch(() => null);
    if (now !== turn) return;
    body.removeAttribute("aria-busy");
    body.replaceChildren(...(drawn?.figures ?? [el("p", { class: "muted" }, "The maps could not be read.")]));
    drawn?.paint?.();
    if (focused) body.querySelector("input[name=query]")?.focus();
  }
  watch((values) => {
    if (ATTENTION_STATE.some((name) => name in values)) draw();
  });
  queueMicrotask(draw);
  return section;
}

// Takes pixels away and brings them back as the insertion and deletion curves do.

// Places of the pixels, 0 for the most salient; equal values keep the order of pixels.
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

// The image with `count` pixels deleted to the mean colour, or inserted into its blurred self.
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

// Does a map tell what the network uses? Curves of its confidence while pixels go or come in the map's order,
// with a slider that masks the image as the curve does, and a table beside maps that know nothing.

FIELDS.judged = aText("");
FIELDS.kind = aChoice("deletion", ["deletion", "insertion"]);
FIELDS.masked = aNumber(0.2, 0, 1);
Object.assign(state, { judged: "", kind: "deletion", masked: 0.2 });

const FAITH_PLOT = { width: 460, height: 250, left: 46, right: 20, top: 10, bottom: 34 };
const BASELINE_NAMES = { random: "random map", centre: "centre of the image" };

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
  const explained = className(run, found.classes[sample]);
  return [
    el("p", { class: "muted hint" }, `Probability of ${explained}, the class predicted for the whole image`),
    el(
      "ul",
      { class: "legend" },
      row("curves", title, title, 0, false),
      Object.keys(found.baselines).map((name, i) => row("baselines", name, BASELINE_NAMES[name] ?? name, 6 + i, true)),
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
      el("th", { scope: "row" }, BASELINE_NAMES[row.name] ?? row.name),
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
  if (!snapshot || !image) return;
  const block = Math.floor(sample / PER_SHARD.maps);
  const map = cutMap(await mapCache.get(mapKey(snapshot, column, block), snapshot.maps[column.index][block]), sample);
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
    "aria-label": `Share of the pixels: ${formatPercent(step / points)}`,
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
    maps.replaceChildren(...Object.keys(found.curves).map((name) => el("option", { value: name }, name)));
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

// The bar that stays in sight: where one can go on the page, and the epoch, which everything follows.

// id: of the section's heading.
function goTo(id) {
  const title = document.getElementById(id);
  title?.closest("section").scrollIntoView({ block: "start" });
  title?.focus({ preventScroll: true });
}

function contentsButton(section) {
  const title = section.querySelector("h2");
  title.setAttribute("tabindex", "-1");
  const button = pushButton(title.textContent, () => goTo(title.id), { class: "link" });
  const show = () => (button.hidden = section.hidden);
  new MutationObserver(show).observe(section, { attributes: true, attributeFilter: ["hidden"] });
  show();
  return button;
}

// sections: elements with a heading; those without one are what the page begins with.
function makeBar(sections) {
  const titled = sections.filter((section) => section.querySelector("h2"));
  const contents = el("nav", { class: "contents", "aria-label": "Contents" }, titled.map(contentsButton));
  const bar = el("div", { class: "page-bar" }, contents, makePlayer());
  const measure = () => document.documentElement.style.setProperty("--page-bar", `${bar.offsetHeight}px`);
  new ResizeObserver(measure).observe(bar);
  return bar;
}

// Pixels at the top of the window that the bar and the heads of the columns cover.
function coveredHeight() {
  return [".page-bar", ".sticky"].reduce((sum, name) => sum + (document.querySelector(name)?.offsetHeight ?? 0), 0);
}

// Puts the page together.

function makeMaps() {
  const run = currentRun();
  const title = el("h2", { id: "maps" }, "Maps");
  if (!report.runs.some((one) => one.probes.length && one.epochs.length)) {
    const text = run.probes.length
      ? "No maps have been logged yet."
      : "No probe images have been recorded in this run.";
    const hint = "log.maps_every and log.probes decide when and of how many images maps are kept.";
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
  const against = makeVersus(() => grid.element);
  const tools = makeToolbar(
    [
      { name: "filters", title: "Filters", element: makeFilters(), badge: activeFilters },
      { name: "display", title: "Display", element: makeDisplay() },
      { name: "columns", title: "Columns", element: makeColumnChooser(), badge: countColumns },
      { name: "compare", title: "Compare", element: makeCompare(), badge: () => (state.versus ? "on" : "") },
      { name: "notes", title: "Notes", element: makeNotes(), badge: countNotes },
      {
        name: "export",
        title: "Export",
        element: makeExport(grid, heads),
        badge: () => state.selected.length || "",
      },
    ],
    makeSearch(),
    makeSort(),
  );
  against.show();
  const keys = pushButton("Keys", showKeys, { class: "quiet" });
  const element = el(
    "section",
    { "aria-labelledby": "maps", class: "maps" },
    el("div", { class: "section-line" }, title, keys),
    tools,
    el("div", { class: "sticky" }, against.element, heads),
    grid.element,
  );
  return { element, grid };
}

// The sections in their order. The list of samples may be very long and comes last.
function makeSections() {
  const makers = [
    makeOverview,
    makeRuns,
    makeCurves,
    makeNetwork,
    makeConfusion,
    makeAttention,
    makeFaithfulness,
  ];
  return makers.map((make) => make()).filter(Boolean);
}

function recallTheme() {
  try {
    const kept = localStorage.getItem("cv_attention.theme");
    if (THEMES.includes(kept)) state.theme = kept;
  } catch {
    // Without storage the system's theme is used.
  }
}

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
  const sections = [...makeSections(), maps.element];
  root.append(makeHeader(), makeBar(sections), el("main", {}, sections), readout);
  listenToKeys(maps.grid);
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  dark.addEventListener("change", () => change({ theme: state.theme })); // bars are painted in the theme's colours
  window.addEventListener("hashchange", () => {
    readAddress();
    change({ ...state });
  });
}

start();

})();
