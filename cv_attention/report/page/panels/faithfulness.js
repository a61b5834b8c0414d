// Does a map show what the network uses? Curves of its confidence while pixels are deleted or inserted in the map's
// order, with a slider that masks the image in the same way, and a table with uninformed baseline maps.

import { makeCache } from "../core/cache.js";
import { className } from "../core/class_names.js";
import { labelled, select } from "../core/controls.js";
import { el, svg } from "../core/dom.js";
import { aChoice, aNumber, aText } from "../core/fields.js";
import { columnName, epochName, formatPercent, formatValue, isolated } from "../core/format.js";
import { loadPicture, loadRecordedMap, plainCache } from "../core/shards.js";
import { addField, change, currentRun, state, watch } from "../core/state.js";
import { maskImage, pixelRanks } from "./masking.js";
import { sampleStepper } from "./stepper.js";

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

export function makeFaithfulness() {
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
