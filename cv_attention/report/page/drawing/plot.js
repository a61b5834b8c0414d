// The drawing of one line chart: axes with round numbers, lines, a mark at one epoch.

import { svg } from "../core/dom.js";

const MARGIN = { left: 50, right: 12, top: 8, bottom: 36 };

export function roundTicks(low, high, count) {
  const raw = (high - low) / Math.max(1, count) || 1;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= raw * 0.999);
  const ticks = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) {
    ticks.push(Number((i * step).toPrecision(10)));
  }
  return ticks;
}

export function valueBounds(lines) {
  const values = lines.flatMap((line) => line.points.map((point) => point[2]));
  const low = values.reduce((a, b) => Math.min(a, b));
  const high = values.reduce((a, b) => Math.max(a, b));
  const room = (high - low) * 0.06 || Math.abs(high) * 0.1 || 1;
  return [low >= 0 ? Math.max(0, low - room) : low - room, high + room];
}

// Epochs and values <-> pixels of a plot of this size.
export function makeScales(width, height, xs, ys) {
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

export function drawAxes({ width, height, xs, ys, x, y }, format) {
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

export function drawLine({ x, y }, line) {
  const points = line.points.map((point) => `${x(point[0]).toFixed(1)},${y(point[2]).toFixed(1)}`).join(" ");
  return svg("polyline", { class: `curve line-${line.colour}${line.dashed ? " dashed" : ""}`, points });
}

export function drawUpright({ x, height }, at, name, title) {
  const ends = { x1: x(at), x2: x(at), y1: MARGIN.top, y2: height - MARGIN.bottom };
  return svg("line", { class: name, ...ends }, title && svg("title", {}, title));
}
