// The drawing of one line chart: axes with round numbers, lines, a mark at one epoch.

import { svg } from "../core/dom.js";
import { formatCount } from "../core/format.js";

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

// Powers of ten and their multiples by 2 and 5; only the powers where there are many.
export function logTicks(low, high) {
  const [first, last] = [Math.floor(Math.log10(low)), Math.ceil(Math.log10(high))];
  const factors = last - first > 3 ? [1] : [1, 2, 5];
  const ticks = [];
  for (let power = first; power <= last; power++) for (const factor of factors) ticks.push(Number(`${factor}e${power}`));
  return ticks.filter((tick) => tick >= low * 0.999 && tick <= high * 1.001);
}

// The values at the ends of the upright axis; on a logarithmic one only positive values count.
export function valueBounds(lines, log = false) {
  const inBand = (line) => (line.band ?? []).flatMap(([, low, high]) => [low, high]);
  const all = lines.flatMap((line) => [...line.points.map((point) => point[3]), ...inBand(line)]);
  const values = log ? all.filter((value) => value > 0) : all;
  if (!values.length) return log ? [0.1, 1] : [0, 1];
  const low = values.reduce((a, b) => Math.min(a, b));
  const high = values.reduce((a, b) => Math.max(a, b));
  if (log) return [low / (high / low) ** 0.05 / 1.05, high * (high / low) ** 0.05 * 1.05];
  const room = (high - low) * 0.06 || Math.abs(high) * 0.1 || 1;
  return [low >= 0 ? Math.max(0, low - room) : low - room, high + room];
}

// Epochs and values <-> pixels of a plot of this size. On a logarithmic axis, values below its end lie at the end.
// `left` is the room for the numbers of the upright axis.
export function makeScales(width, height, xs, ys, log = false, left = MARGIN.left) {
  const inner = width - left - MARGIN.right;
  const tall = height - MARGIN.top - MARGIN.bottom;
  const place = log ? (value) => Math.log(Math.max(value, ys[0])) : (value) => value;
  const [low, high] = ys.map(place);
  return {
    width,
    height,
    xs,
    ys,
    log,
    left,
    x: (value) => left + ((value - xs[0]) / (xs[1] - xs[0])) * inner,
    y: (value) => height - MARGIN.bottom - ((place(value) - low) / (high - low)) * tall,
    epochAt: (pixel) =>
      Math.min(xs[1], Math.max(xs[0], xs[0] + ((pixel - left) / inner) * (xs[1] - xs[0]))),
  };
}

const upright = (ys, log) => (log ? logTicks(...ys) : roundTicks(...ys, 6));
const LETTER = 7; // width of a digit

// The room that the numbers of the upright axis need, at least the usual one.
export function roomForNumbers(ys, log, format) {
  return Math.max(MARGIN.left, ...upright(ys, log).map((tick) => LETTER * format(tick).length + 10));
}

export function drawAxes({ width, height, xs, ys, x, y, log, left }, format, words) {
  const right = width - MARGIN.right;
  const rows = upright(ys, log).map((tick) =>
    svg(
      "g",
      { class: "tick" },
      svg("line", { x1: left, x2: right, y1: y(tick), y2: y(tick) }),
      svg("text", { x: left - 7, y: y(tick) + 4, "text-anchor": "end" }, format(tick)),
    ),
  );
  const ticks = roundTicks(...xs, Math.min(10, width / 60));
  const whole = words.startsWith("epochs") ? ticks.filter(Number.isInteger) : ticks;
  const columns = whole.length > 1 ? whole : ticks; // a part of the axis may lie within one epoch
  const below = height - MARGIN.bottom + 17;
  return [
    ...rows,
    ...columns.map((tick) =>
      svg("text", { class: "tick", x: x(tick), y: below, "text-anchor": "middle" }, formatCount(tick)),
    ),
    svg("text", { class: "axis", x: right, y: height - 4, "text-anchor": "end" }, words),
  ];
}

// Gives an element a colour by number: eight that colour-blind readers tell apart, then others, none of them twice.
export function tint(element, colour) {
  if (colour < 8) element.classList.add(`line-${colour}`);
  else element.style.setProperty("--colour", `hsl(${(colour * 137.508) % 360} ${colour % 2 ? 65 : 45}% 48%)`);
  return element;
}

export function drawLine({ x, y }, line) {
  if (line.points.length === 1) {
    const [[at, , , value]] = line.points; // a line of one point would not be seen
    return tint(svg("circle", { class: "alone", cx: x(at), cy: y(value), r: 3 }), line.colour);
  }
  const points = line.points.map((point) => `${x(point[0]).toFixed(1)},${y(point[3]).toFixed(1)}`).join(" ");
  return tint(svg("polyline", { class: `curve dash-${line.dash}`, points }), line.colour);
}

export function drawBand({ x, y }, line) {
  const edge = (which) => line.band.map((point) => `${x(point[0]).toFixed(1)},${y(point[which]).toFixed(1)}`);
  return tint(svg("polygon", { class: "curve-band", points: [...edge(2), ...edge(1).reverse()].join(" ") }), line.colour);
}

export function drawUpright({ x, height }, at, name, title) {
  const ends = { x1: x(at), x2: x(at), y1: MARGIN.top, y2: height - MARGIN.bottom };
  return svg("line", { class: name, ...ends }, title && svg("title", {}, title));
}
