// Where a network looked, glimpse by glimpse: numbered boxes and their path over the image, and a slider over the steps.

import { makeCache } from "../core/cache.js";
import { className } from "../core/class_names.js";
import { rangeControl } from "../core/controls.js";
import { el, svg } from "../core/dom.js";
import { aNumber } from "../core/fields.js";
import { epochName, isolated } from "../core/format.js";
import { loadPicture, loadScript } from "../core/shards.js";
import { addField, change, currentRun, state, watch } from "../core/state.js";
import { loadPanel } from "./attending.js";
import { panelFigure } from "./figure.js";
import { sampleStepper } from "./stepper.js";

addField("glimpse", aNumber(0, 0, 1e4)); // how many are shown; 0 shows all

const UNIT = 100; // of the drawing, for the longer side of the image
const RADIUS = 3.2; // of the mark of a place

const glimpseCache = makeCache(8e6, async (key, hash) => ({ value: await loadScript(key, hash), bytes: 1e5 }));

export function hasGlimpses(run) {
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

// What is drawn of one glimpse; that of the last one stands out.
function partOf(kind, step, shown, shapes) {
  return svg("g", { class: step === shown - 1 ? `${kind} now` : kind, "data-step": step }, shapes);
}

// The boxes of one glimpse, the finest the strongest.
function boxMarks({ boxes }) {
  return boxes.map((box, scale) => boxMark(box, scale, boxes.length));
}

// Its number at the place looked at, or next to it where that lies at the edge of the image.
function numberMark({ x, y }, step, [width, height]) {
  const [cx, cy] = [Math.min(Math.max(x, RADIUS), width - RADIUS), Math.min(Math.max(y, RADIUS), height - RADIUS)];
  return [
    svg("circle", { cx, cy, r: RADIUS, class: "glimpse-place" }),
    svg("text", { x: cx, y: cy + 1.5, class: "glimpse-number" }, String(step + 1)),
  ];
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
    seen.map((one, step) => partOf("glimpse", step, shown, boxMarks(one))),
    seen.map((one, step) => partOf("glimpse-at", step, shown, numberMark(one, step, size))), // no box covers a number
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

export function makeGlimpses() {
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
