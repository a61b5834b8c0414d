// One line chart: axes with round numbers, lines, a mark at the chosen epoch, the values under the pointer.

const MARGIN = { left: 50, right: 12, top: 8, bottom: 36 };

function roundTicks(low, high, count) {
  const raw = (high - low) / Math.max(1, count) || 1;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= raw * 0.999);
  const ticks = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++)
    ticks.push(Number((i * step).toPrecision(10)));
  return ticks;
}

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

function yRange(lines) {
  let low = Infinity;
  let high = -Infinity;
  for (const line of lines) {
    for (const point of line.points) {
      low = Math.min(low, point[2]);
      high = Math.max(high, point[2]);
    }
  }
  const room = (high - low) * 0.06 || Math.abs(high) * 0.1 || 1;
  return [low >= 0 ? Math.max(0, low - room) : low - room, high + room];
}

// lines: [{label, colour: 0-7, dashed, points: [[epochs trained, step, value]]}]
function makeChart({ title, lines, marks, format, onpick }) {
  const plot = svg("svg", { class: "plot", role: "img", "aria-label": `${title}, by epochs trained` });
  const values = lines.map(() => el("output", { class: "legend-value" }));
  const legend = el(
    "ul",
    { class: "legend" },
    lines.map((line, i) =>
      el(
        "li",
        { class: `line-${line.colour}` },
        el("span", { class: line.dashed ? "swatch dashed" : "swatch" }),
        el("span", { class: "legend-name" }, line.label),
        values[i],
      ),
    ),
  );
  const where = el("span", { class: "muted where" });
  const element = el(
    "figure",
    { class: "chart" },
    el("figcaption", {}, el("h3", {}, title), where),
    plot,
    legend,
  );
  const xMost = Math.max(1, ...lines.map((line) => line.points[line.points.length - 1][0]));
  const xs = [0, xMost];
  const ys = yRange(lines);
  let chosen = null;
  let hovered = null;
  let scales = null;

  function draw() {
    const width = plot.clientWidth;
    const height = plot.clientHeight;
    if (!width) return;
    const x = (value) =>
      MARGIN.left + ((value - xs[0]) / (xs[1] - xs[0])) * (width - MARGIN.left - MARGIN.right);
    const y = (value) =>
      height - MARGIN.bottom - ((value - ys[0]) / (ys[1] - ys[0])) * (height - MARGIN.top - MARGIN.bottom);
    scales = { x, width };
    plot.setAttribute("viewBox", `0 0 ${width} ${height}`);
    plot.replaceChildren(
      ...roundTicks(...ys, 6).map((tick) =>
        svg(
          "g",
          { class: "tick" },
          svg("line", { x1: MARGIN.left, x2: width - MARGIN.right, y1: y(tick), y2: y(tick) }),
          svg("text", { x: MARGIN.left - 7, y: y(tick) + 4, "text-anchor": "end" }, format(tick)),
        ),
      ),
      ...roundTicks(...xs, Math.min(10, width / 60))
        .filter(Number.isInteger)
        .map((tick) =>
          svg(
            "text",
            { class: "tick", x: x(tick), y: height - MARGIN.bottom + 17, "text-anchor": "middle" },
            String(tick),
          ),
        ),
      svg(
        "text",
        { class: "axis", x: width - MARGIN.right, y: height - 4, "text-anchor": "end" },
        "epochs trained",
      ),
      ...marks.map((at) =>
        svg(
          "line",
          { class: "resumed", x1: x(at), x2: x(at), y1: MARGIN.top, y2: height - MARGIN.bottom },
          svg("title", {}, "training resumed here"),
        ),
      ),
      ...lines.map((line) =>
        svg("polyline", {
          class: `curve line-${line.colour}${line.dashed ? " dashed" : ""}`,
          points: line.points.map((point) => `${x(point[0]).toFixed(1)},${y(point[2]).toFixed(1)}`).join(" "),
        }),
      ),
    );
    const at = hovered ?? chosen;
    if (at === null) return;
    plot.append(
      svg("line", {
        class: hovered === null ? "chosen" : "cursor",
        x1: x(at),
        x2: x(at),
        y1: MARGIN.top,
        y2: height - MARGIN.bottom,
      }),
    );
    for (const line of lines) {
      const point = nearestPoint(line.points, at);
      plot.append(
        svg("circle", { class: `dot line-${line.colour}`, cx: x(point[0]), cy: y(point[2]), r: 3.5 }),
      );
    }
  }

  function tell() {
    const at = hovered ?? chosen;
    lines.forEach(
      (line, i) =>
        (values[i].textContent = at === null ? "" : format(nearestPoint(line.points, at)[2], true)),
    );
    const point = at === null ? null : nearestPoint(lines[0].points, at);
    where.textContent = point ? `epoch ${formatValue(Number(point[0].toFixed(2)))} · step ${point[1]}` : "";
  }

  function point(event) {
    if (!scales) return null;
    const inside = event.clientX - plot.getBoundingClientRect().left;
    const share = (inside - MARGIN.left) / (scales.width - MARGIN.left - MARGIN.right);
    return Math.min(xs[1], Math.max(xs[0], xs[0] + share * (xs[1] - xs[0])));
  }

  function refresh() {
    draw();
    tell();
  }
  plot.addEventListener("pointermove", (event) => {
    hovered = point(event);
    refresh();
  });
  plot.addEventListener("pointerleave", () => {
    hovered = null;
    refresh();
  });
  plot.addEventListener("click", (event) => {
    const at = point(event);
    if (at !== null) onpick(at);
  });
  new ResizeObserver(draw).observe(plot);
  return {
    element,
    choose(at) {
      chosen = at;
      refresh();
    },
  };
}
