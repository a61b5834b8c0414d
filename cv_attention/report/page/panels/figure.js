// Figures of the panels: with a caption, and of a picture with a map over it.

import { el } from "../core/dom.js";
import { formatValue } from "../core/format.js";
import { loadPicture } from "../core/shards.js";
import { state } from "../core/state.js";
import { colourTable } from "../drawing/colours.js";
import { paintHeatmap } from "../drawing/heatmap.js";
import { makeColourBar, weightWords } from "../drawing/legend.js";
import { hideReadout, showReadout } from "../drawing/readout.js";
import { throughZoom } from "../drawing/zoom.js";

export function panelFigure(caption, ...content) {
  return el("figure", { class: "panel-figure" }, el("figcaption", {}, caption), content);
}

// The colour bar of a layer; one is enough for all that share a range.
export function colourBar(layer) {
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
export function cellMark(row, column, { height, width }) {
  const mark = el("span", { class: "query-mark" });
  const sides = { left: column / width, top: row / height, width: 1 / width, height: 1 / height };
  for (const [side, share] of Object.entries(sides)) mark.style[side] = `${100 * share}%`;
  return mark;
}

// A picture with a layer over it, at the panel's size, that follows the zoom; it calls `onpick` with the row and the
// column under a click. `marks` lie over both.
export function overlaid(run, sample, layer, label, { onpick = null, marks = [] } = {}) {
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
