// Figures of the panels: with a caption, and of a picture with a map over it.

import { el } from "../core/dom.js";
import { formatValue } from "../core/format.js";
import { loadPicture } from "../core/shards.js";
import { state } from "../core/state.js";
import { colourTable } from "../drawing/colours.js";
import { paintHeatmap } from "../drawing/heatmap.js";
import { hideReadout, showReadout } from "../drawing/readout.js";

export function panelFigure(caption, ...content) {
  return el("figure", { class: "panel-figure" }, el("figcaption", {}, caption), content);
}

// A picture with a map over it, at the panel's size; it calls `onpick` with the position under a click.
export function overlaid(run, sample, map, range, label, onpick = null) {
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
