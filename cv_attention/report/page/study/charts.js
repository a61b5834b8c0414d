// Charts of a study, drawn as wide as their place: differences with intervals, and difference over cost.

import { el, svg } from "../core/dom.js";
import { formatValue, isolated } from "../core/format.js";
import { roundTicks } from "../drawing/plot.js";

const [ROW, TALL_ROW] = [26, 44]; // with the name next to its interval, and above it
const LETTER = 8; // width of a wide letter
const WIDE = 480;

function signed(value) {
  return value > 0 ? `+${formatValue(value)}` : formatValue(value);
}

// [low, high] with some room around the values.
function padded(values) {
  const low = Math.min(...values);
  const high = Math.max(...values);
  const room = (high - low || 1) * 0.06;
  return [low - room, high + room];
}

function known(...values) {
  return values.filter((value) => value !== null && value !== undefined);
}

// A figure that is drawn again whenever its width changes; draw(width) returns {height, shapes}.
function makeFigure(title, words, draw) {
  const plot = svg("svg", { class: "study-plot", role: "img", "aria-label": title });
  const refresh = () => {
    const width = plot.clientWidth;
    if (!width) return;
    const { height, shapes } = draw(width);
    plot.setAttribute("viewBox", `0 0 ${width} ${height}`);
    plot.style.height = `${height}px`;
    plot.replaceChildren(...shapes.flat(Infinity).filter(Boolean));
  };
  new ResizeObserver(refresh).observe(plot);
  const caption = el("figcaption", {}, el("h3", {}, title));
  return el("figure", { class: "chart" }, caption, plot, words && el("p", { class: "muted hint" }, words));
}

function label(x, y, text, { anchor = "start", kind = "" } = {}) {
  return svg("text", { x, y, "text-anchor": anchor, class: kind || null }, text);
}

// Verdicts differ in their shapes, too: a triangle for better, one upside down for worse, a square, a circle.
function markOf(verdict, x, y) {
  const kind = `mark-${verdict}`;
  if (verdict === "better" || verdict === "worse") {
    const s = verdict === "better" ? 1 : -1;
    return svg("polygon", { class: kind, points: `${x - 6},${y + 5 * s} ${x + 6},${y + 5 * s} ${x},${y - 6 * s}` });
  }
  if (verdict === "equivalent") return svg("rect", { class: kind, x: x - 5, y: y - 5, width: 10, height: 10 });
  return svg("circle", { class: kind, cx: x, cy: y, r: 5 });
}

function intervalOf(row, x, y) {
  if (row.low === null) return [];
  const line = (x1, y1, x2, y2) => svg("line", { class: `interval-${row.verdict}`, x1, y1, x2, y2 });
  const [a, b] = [x(row.low), x(row.high)];
  return [line(a, y, b, y), line(a, y - 4, a, y + 4), line(b, y - 4, b, y + 4)];
}

// rows: those of a table without the reference.
export function makeForest(rows, study, title) {
  const { margin, points } = study;
  const [low, high] = padded([0, ...known(margin, margin && -margin), ...rows.flatMap((row) => known(row.low, row.high, row.difference))]);
  const longest = Math.max(...rows.map((row) => row.arm.length));
  const draw = (width) => {
    const inLine = width >= WIDE;
    const left = inLine ? Math.min(width * 0.4, LETTER * longest + 18) : 8;
    const step = inLine ? ROW : TALL_ROW;
    const right = width - 12;
    const x = (value) => left + ((value - low) / (high - low)) * (right - left);
    const bottom = 6 + step * rows.length;
    const band = margin && svg("rect", { class: "margin-band", x: x(-margin), y: 0, width: x(margin) - x(-margin), height: bottom });
    const ticks = roundTicks(low, high, Math.min(7, (right - left) / 60)).map((tick) => [
      svg("line", { class: tick === 0 ? "zero" : "rule", x1: x(tick), x2: x(tick), y1: 0, y2: bottom }),
      label(x(tick), bottom + 16, tick ? signed(tick) : "0", { anchor: "middle", kind: "tick" }),
    ]);
    const drawn = rows.map((row, i) => {
      const y = 6 + step * (i + 1) - ROW / 2;
      const name = inLine ? label(left - 12, y + 4, isolated(row.arm), { anchor: "end" }) : label(left, y - 14, isolated(row.arm));
      if (row.difference === null) return [name, label(left + 8, y + 4, row.words, { kind: "tick" })];
      return [name, intervalOf(row, x, y), markOf(row.verdict, x(row.difference), y)];
    });
    const axis = label(right, bottom + 34, margin ? `${points}; shaded: ±${formatValue(margin)}` : points, { anchor: "end", kind: "tick" });
    return { height: bottom + 40, shapes: [band, ticks, drawn, axis] };
  };
  return makeFigure(title, `${study.confidence} intervals that hold for all rows at once`, draw);
}

// The points that no other one beats in both cost and gain, by cost.
export function frontOf(points) {
  const kept = [];
  for (const point of [...points].sort((a, b) => a.cost - b.cost || b.gain - a.gain)) {
    if (!kept.length || point.gain > kept[kept.length - 1].gain) kept.push(point);
  }
  return kept;
}

// Networks that somebody would use, with their cost and gain; the reference lies at (1, 0).
export function costed(rows, higher) {
  return rows
    .filter((row) => row.useful && row.cost && (row.difference !== null || row.verdict === "none"))
    .map((row) => ({ ...row, difference: row.difference ?? 0, gain: (higher ? 1 : -1) * (row.difference ?? 0) }));
}

// A place for each name next to its mark, moved down where it would lie over another one.
function namesOf(points, x, y, edge) {
  const taken = [];
  return [...points]
    .sort((a, b) => b.difference - a.difference)
    .map((point) => {
      const width = LETTER * point.arm.length;
      const leftwards = x(point.cost) + 10 + width > edge;
      const start = leftwards ? x(point.cost) - 10 - width : x(point.cost) + 10;
      let place = y(point.difference) + 4;
      while (taken.some(([a, b, at]) => Math.abs(at - place) < 14 && start < b && a < start + width)) place += 14;
      taken.push([start, start + width, place]);
      return label(leftwards ? x(point.cost) - 10 : start, place, isolated(point.arm), { anchor: leftwards ? "end" : "start", kind: "halo" });
    });
}

export function makeFront(rows, study, title) {
  const points = costed(rows, study.higher);
  if (points.length < 2) return null;
  const [low, high] = padded([0, ...points.flatMap((row) => known(row.low, row.high, row.difference))]);
  const [cheap, dear] = padded([1, ...points.map((row) => row.cost)]);
  const draw = (width) => {
    const [left, right, top, bottom] = [46, width - 12, 8, 268];
    const x = (value) => left + ((value - cheap) / (dear - cheap)) * (right - left);
    const y = (value) => bottom - ((value - low) / (high - low)) * (bottom - top);
    const rules = roundTicks(low, high, 6).map((tick) => [
      svg("line", { class: tick === 0 ? "zero" : "rule", x1: left, x2: right, y1: y(tick), y2: y(tick) }),
      label(left - 6, y(tick) + 4, tick ? signed(tick) : "0", { anchor: "end", kind: "tick" }),
    ]);
    const ticks = roundTicks(cheap, dear, Math.min(7, (right - left) / 60)).map((tick) =>
      label(x(tick), bottom + 16, `${formatValue(tick)}×`, { anchor: "middle", kind: "tick" }),
    );
    const steps = frontOf(points).flatMap((point, i, all) => [
      ...(i ? [`${x(point.cost)},${y(all[i - 1].difference)}`] : []),
      `${x(point.cost)},${y(point.difference)}`,
    ]);
    const bars = points.filter((row) => row.low !== null).map((row) =>
      svg("line", { class: `interval-${row.verdict}`, x1: x(row.cost), x2: x(row.cost), y1: y(row.low), y2: y(row.high) }),
    );
    const marks = points.map((row) => markOf(row.verdict, x(row.cost), y(row.difference)));
    const names = namesOf(points, x, y, right);
    const shapes = [rules, ticks, svg("polyline", { class: "front", points: steps.join(" ") }), bars, marks, names];
    return { height: bottom + 28, shapes };
  };
  return makeFigure(title, `Cost: ${study.measured}. Dashed: networks that no other one beats in both.`, draw);
}
