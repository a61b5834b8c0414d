// The alignment matrix: weights of each step over the columns of the image, or over all positions.

import { el } from "../core/dom.js";
import { formatValue } from "../core/format.js";
import { state } from "../core/state.js";
import { colourTable } from "../drawing/colours.js";
import { paintHeatmap } from "../drawing/heatmap.js";
import { hideReadout, showReadout } from "../drawing/readout.js";
import { colourBar, panelFigure } from "./figure.js";
import { shownUnit } from "./text.js";

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

export function drawMatrix(probe, maps, onlook) {
  const all = state.positions === "all";
  const matrix = alignmentMatrix(maps, all);
  const canvas = el("canvas", { class: "alignment-matrix", role: "img", "aria-label": "Weights of each step by place" });
  const plain = { smooth: false, threshold: 0, contour: false, signed: false };
  const range = [0, matrix.values.reduce((most, value) => Math.max(most, value), 0)];
  paintHeatmap(canvas, matrix, range, colourTable(state.colours), plain);
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
  const figure = panelFigure(words, el("div", { class: "matrix-frame" }, names, canvas), colourBar({ range, table: state.colours, signed: false }));
  figure.classList.add("matrix-figure");
  return figure;
}
