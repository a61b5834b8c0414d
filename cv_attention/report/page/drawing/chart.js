// A chart with a legend of the values at the chosen epoch or under the pointer. A click into the plot chooses an epoch, a
// drag enlarges what it passes over, a click on a name of the legend hides its line.

import { el, svg } from "../core/dom.js";
import { formatValue } from "../core/format.js";
import { followDrag } from "./dragging.js";
import { drawAxes, drawBand, drawLine, drawUpright, makeScales, roomForNumbers, tint, valueBounds } from "./plot.js";
import { partWithin } from "./series.js";

function nearestPoint(points, x) {
  let low = 0;
  let high = points.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (points[middle][0] < x) low = middle;
    else high = middle;
  }
  return Math.abs(points[low][0] - x) <= Math.abs(points[high][0] - x) ? points[low] : points[high];
}

function makeLegend(lines, format, ontoggle) {
  const values = lines.map(() => el("output", { class: "legend-value" }));
  const rows = lines.map((line, i) => {
    const swatch = el("span", { class: `swatch dash-${line.dash}` });
    const name = el("span", { class: "legend-name", title: line.title }, line.label);
    const press = () => ontoggle(line.key);
    const words = line.hidden ? "Show this line" : "Hide this line";
    const button = el("button", { type: "button", class: "link", "aria-pressed": String(!line.hidden), title: words, onclick: press }, swatch, name);
    return tint(el("li", { class: line.hidden ? "hidden-line" : null }, button, values[i]), line.colour);
  });
  const tell = (at) => {
    lines.forEach((line, i) => {
      const known = at !== null && !line.hidden && line.points.length;
      values[i].textContent = known ? format(nearestPoint(line.points, at)[3], true) : "";
    });
  };
  return { element: el("ul", { class: "legend" }, rows), tell };
}

// lines: [{key, label, colour, dash: 0-3, hidden, points: [[x, epochs trained, step, value]], band: [[x, low, high]]}];
// axis: {words, log}; marks: x at which training was resumed; onpick(epochs trained); span: [low, high] of the axis that is
// shown, or null for all of it; onspan(low, high).
export function makeChart({ title, lines, marks, axis, format, onpick, ontoggle, span = null, onspan = null }) {
  const plot = svg("svg", { class: "plot", role: "img", "aria-label": `${title}, by ${axis.words}` });
  const where = el("span", { class: "muted where" });
  const legend = makeLegend(lines, format, ontoggle);
  const head = el("figcaption", {}, el("h3", {}, title), where);
  const seen = lines.filter((line) => !line.hidden && line.points.length);
  const drawn = span ? seen.map((line) => partWithin(line, span)).filter((line) => line.points.length) : seen;
  const xs = span ?? [0, drawn.reduce((most, line) => Math.max(most, line.points[line.points.length - 1][0]), 1e-9)];
  const ys = valueBounds(drawn, axis.log);
  const left = roomForNumbers(ys, axis.log, format);
  let chosen = null;
  let hovered = null;
  let scales = null;

  function refresh() {
    const at = hovered ?? chosen;
    legend.tell(at);
    const point = at === null || !drawn.length ? null : nearestPoint(drawn[0].points, at);
    where.textContent = point ? `epoch ${formatValue(Number(point[1].toFixed(2)))} · step ${point[2]}` : "";
    if (!plot.clientWidth) return;
    scales = makeScales(plot.clientWidth, plot.clientHeight, xs, ys, axis.log, left);
    plot.setAttribute("viewBox", `0 0 ${scales.width} ${scales.height}`);
    plot.replaceChildren(
      ...drawAxes(scales, format, axis.words),
      ...marks.filter((mark) => mark >= xs[0] && mark <= xs[1]).map((mark) => drawUpright(scales, mark, "resumed", "training resumed here")),
      ...drawn.filter((line) => line.band).map((line) => drawBand(scales, line)),
      ...drawn.map((line) => drawLine(scales, line)),
    );
    if (at === null || at < xs[0] || at > xs[1]) return;
    plot.append(drawUpright(scales, at, hovered === null ? "chosen" : "cursor"));
    for (const line of drawn) {
      const [x, , , y] = nearestPoint(line.points, at);
      plot.append(tint(svg("circle", { class: "dot", cx: scales.x(x), cy: scales.y(y), r: 3.5 }), line.colour));
    }
  }

  function hover(event) {
    hovered = event && scales ? scales.epochAt(event.clientX - plot.getBoundingClientRect().left) : null;
    refresh();
  }
  plot.addEventListener("pointermove", hover);
  plot.addEventListener("pointerleave", () => hover(null));
  const dragged = onspan && followDrag(plot, (x) => scales?.epochAt(x) ?? null, onspan);
  plot.addEventListener("click", (event) => {
    if (dragged?.()) return;
    hover(event);
    if (hovered !== null && drawn.length) onpick(axis.epoch(hovered, nearestPoint(drawn[0].points, hovered)));
  });
  new ResizeObserver(refresh).observe(plot);
  // epochs trained, which the axis shows at the nearest point that has them
  const choose = (epochs) => {
    const near = epochs === null || !drawn.length ? null : axis.at(epochs, drawn[0].points);
    chosen = near;
    refresh();
  };
  return { element: el("figure", { class: "chart" }, head, plot, legend.element), choose };
}
