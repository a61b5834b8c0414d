// One map of one image: canvas over the picture, colour bar with the values at its ends, the value under the pointer.

const readout = el("div", { class: "readout", "aria-hidden": "true" });

function showReadout(event, text) {
  readout.textContent = text;
  readout.classList.add("shown");
  const left = Math.min(event.clientX + 14, document.documentElement.clientWidth - readout.offsetWidth - 6);
  readout.style.transform = `translate(${Math.max(4, left)}px, ${Math.max(4, event.clientY - readout.offsetHeight - 12)}px)`;
}

function hideReadout() {
  readout.classList.remove("shown");
}

// The picture with the true box, over which maps are laid.
function makeFrame(probe, ...over) {
  const [width, height] = probe.size ?? [1, 1];
  const picture = probe.image
    ? el("img", {
        src: probe.image,
        alt: "",
        draggable: "false",
        class: Math.max(width, height) <= 128 ? "small" : null,
      })
    : el("span", { class: "missing" }, "no image");
  const frame = el("div", { class: "frame" }, picture, over);
  frame.style.aspectRatio = `${width} / ${height}`;
  if (probe.box) {
    const [x0, y0, x1, y1] = probe.box;
    const box = el("span", { class: "true-box" });
    Object.assign(box.style, {
      left: `${100 * x0}%`,
      top: `${100 * y0}%`,
      width: `${100 * (x1 - x0)}%`,
      height: `${100 * (y1 - y0)}%`,
    });
    frame.append(box);
  }
  return frame;
}

function makeCell(run, probeIndex, column) {
  const probe = run.probes[probeIndex];
  const canvas = el("canvas", { role: "img", "data-column": column.index });
  const low = el("span");
  const high = el("span");
  const bar = el("span", { class: column.bars ? "channels" : "bar" });
  const frame = column.bars ? el("div", { class: "frame gates" }, canvas) : makeFrame(probe, canvas);
  if (column.bars) frame.style.aspectRatio = probe.size ? `${probe.size[0]} / ${probe.size[1]}` : "1";
  const name = el("span", { class: "cell-name", title: column.title }, breakable(columnName(column)));
  const element = el(
    "figure",
    { class: "cell" },
    frame,
    el("figcaption", {}, name, el("span", { class: "scale" }, low, bar, high)),
  );
  let map = null;
  let order = null;

  async function draw(snapshot) {
    element.setAttribute("aria-busy", "true");
    try {
      await show(snapshot);
    } finally {
      if (snapshot === nearestSnapshot(run, state.epoch)) element.removeAttribute("aria-busy");
    }
  }

  async function show(snapshot) {
    map = snapshot ? await loadMap(snapshot, column, probeIndex) : null;
    if (snapshot !== nearestSnapshot(run, state.epoch)) return; // the reader has moved on
    element.classList.toggle("absent", !map);
    canvas.hidden = !map;
    if (!map) {
      low.textContent = high.textContent = "";
      canvas.setAttribute("aria-label", `${columnName(column)}: not logged`);
      return;
    }
    const range = valueRange(run, snapshot, column, map);
    if (column.bars) {
      order = sortedGates(map);
      paintBars(canvas, map, range, order);
      bar.textContent = `${map.width} ch`;
    } else {
      paintHeatmap(canvas, map, range, colourTable(tableOf(column)), state.smooth);
      bar.style.backgroundImage = gradient(tableOf(column));
    }
    low.textContent = formatValue(column.bars ? map.hi : range?.[0]);
    high.textContent = formatValue(column.bars ? map.lo : range?.[1]);
    canvas.setAttribute(
      "aria-label",
      `${columnName(column)}, image ${probeIndex + 1}: values ${formatValue(map.lo)} to ${formatValue(map.hi)}`,
    );
  }

  function read(event) {
    if (!map) return null;
    const edge = frame.getBoundingClientRect();
    const across = Math.min(0.9999, Math.max(0, (event.clientX - edge.left) / edge.width));
    const down = Math.min(0.9999, Math.max(0, (event.clientY - edge.top) / edge.height));
    if (column.bars) {
      const place = Math.floor(across * order.length);
      return order.length
        ? `channel ${order[place]}: ${formatValue(map.values[order[place]])} · ${place + 1} of ${order.length}`
        : null;
    }
    const x = Math.floor(across * map.width);
    const y = Math.floor(down * map.height);
    const value = map.values[y * map.width + x];
    return `${Number.isNaN(value) ? "not a number" : formatValue(value)} · row ${y}, column ${x} of ${map.height} × ${map.width}`;
  }
  return { element, frame, draw, read, bars: column.bars };
}
