// Texts that were read: each character with its confidence, where the network looked for it, and tables of the test.

import { makeCache } from "../core/cache.js";
import { select } from "../core/controls.js";
import { decode } from "../core/decoding.js";
import { el } from "../core/dom.js";
import { aChoice } from "../core/fields.js";
import { epochName, formatPercent } from "../core/format.js";
import { loadScript } from "../core/shards.js";
import { addField, currentRun, state, watch } from "../core/state.js";
import { weightLayers } from "../drawing/layers.js";
import { linkZoom } from "../drawing/zoom.js";
import { loadPanel } from "./attending.js";
import { colourBar, overlaid, panelFigure } from "./figure.js";
import { drawMatrix } from "./matrix.js";
import { drawTables, loadTables } from "./reading_tables.js";
import { sampleStepper } from "./stepper.js";
import { textFigure, shownUnit } from "./text.js";

addField("positions", aChoice("columns", ["columns", "all"]));

const EMPTY = { map: { values: new Float32Array(1), height: 1, width: 1 }, range: null, table: "grey", signed: false };

const readingCache = makeCache(64e6, async (key, hash) => {
  const found = await loadScript(key, hash);
  if (!found.weights) return { value: found, bytes: 2e5 };
  const values = await decode(found.weights);
  const [height, width] = found.weights.shape;
  return { value: { ...found, weights: { ...found.weights, values, height, width } }, bytes: values.byteLength };
});

export function hasReadings(run) {
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

export function makeReading() {
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
