// Channel gates: this image's as sorted bars, and the distribution of every channel over the data set.

import { className } from "../core/class_names.js";
import { el, svg } from "../core/dom.js";
import { nearestSnapshot } from "../core/epochs.js";
import { epochName, formatValue, isolated } from "../core/format.js";
import { state } from "../core/state.js";
import { paintBars, sortedGates } from "../drawing/bars.js";
import { colourTable } from "../drawing/colours.js";
import { paintHeatmap } from "../drawing/heatmap.js";
import { roundTicks } from "../drawing/plot.js";
import { hideReadout, showReadout } from "../drawing/readout.js";
import { finiteRange } from "../drawing/scales.js";
import { loadMap } from "../samples/maps.js";
import { gateCache, loadPanel } from "./attending.js";
import { colourBar, panelFigure } from "./figure.js";

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

export async function drawGates(run, column, sample) {
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
