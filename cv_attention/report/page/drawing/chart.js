// A chart with a legend of the values at the chosen epoch or under the pointer; a click chooses an epoch.

import { el, svg } from "../core/dom.js";
import { formatValue } from "../core/format.js";
import { drawAxes, drawLine, drawUpright, makeScales, valueBounds } from "./plot.js";

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

function makeLegend(lines, format) {
  const values = lines.map(() => el("output", { class: "legend-value" }));
  const rows = lines.map((line, i) => {
    const swatch = el("span", { class: line.dashed ? "swatch dashed" : "swatch" });
    return el(
      "li",
      { class: `line-${line.colour}` },
      swatch,
      el("span", { class: "legend-name" }, line.label),
      values[i],
    );
  });
  const tell = (at) => {
    lines.forEach((line, i) => {
      values[i].textContent = at === null ? "" : format(nearestPoint(line.points, at)[2], true);
    });
  };
  return { element: el("ul", { class: "legend" }, rows), tell };
}

// lines: [{label, colour: 0-7, dashed, points: [[epochs trained, step, value]]}]; marks: where training was
// resumed.
export function makeChart({ title, lines, marks, format, onpick }) {
  const plot = svg("svg", { class: "plot", role: "img", "aria-label": `${title}, by epochs trained` });
  const where = el("span", { class: "muted where" });
  const legend = makeLegend(lines, format);
  const head = el("figcaption", {}, el("h3", {}, title), where);
  const xs = [0, Math.max(1, ...lines.map((line) => line.points[line.points.length - 1][0]))];
  const ys = valueBounds(lines);
  let chosen = null;
  let hovered = null;
  let scales = null;

  function refresh() {
    const at = hovered ?? chosen;
    legend.tell(at);
    const point = at === null ? null : nearestPoint(lines[0].points, at);
    where.textContent = point ? `epoch ${formatValue(Number(point[0].toFixed(2)))} · step ${point[1]}` : "";
    if (!plot.clientWidth) return;
    scales = makeScales(plot.clientWidth, plot.clientHeight, xs, ys);
    plot.setAttribute("viewBox", `0 0 ${scales.width} ${scales.height}`);
    plot.replaceChildren(
      ...drawAxes(scales, format),
      ...marks.map((mark) => drawUpright(scales, mark, "resumed", "training resumed here")),
      ...lines.map((line) => drawLine(scales, line)),
    );
    if (at === null) return;
    plot.append(drawUpright(scales, at, hovered === null ? "chosen" : "cursor"));
    for (const line of lines) {
      const [x, , y] = nearestPoint(line.points, at);
      plot.append(
        svg("circle", { class: `dot line-${line.colour}`, cx: scales.x(x), cy: scales.y(y), r: 3.5 }),
      );
    }
  }

  function hover(event) {
    hovered = event && scales ? scales.epochAt(event.clientX - plot.getBoundingClientRect().left) : null;
    refresh();
  }
  plot.addEventListener("pointermove", hover);
  plot.addEventListener("pointerleave", () => hover(null));
  plot.addEventListener("click", (event) => {
    hover(event);
    if (hovered !== null) onpick(hovered);
  });
  new ResizeObserver(refresh).observe(plot);
  const choose = (at) => {
    chosen = at;
    refresh();
  };
  return { element: el("figure", { class: "chart" }, head, plot, legend.element), choose };
}
