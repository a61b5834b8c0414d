// One map of one image: canvas over the picture, colour bar with the values at its ends.

// The picture with the true box, over which maps are laid.
function makeFrame(run, index, ...over) {
  const probe = run.probes[index];
  const [width, height] = probe.size ?? [1, 1];
  const small = Math.max(width, height) <= 128;
  const picture = probe.size
    ? el("img", { alt: "", draggable: "false", class: small ? "small" : null })
    : el("span", { class: "missing" }, "no image");
  if (probe.size) loadPicture(run, index).then((url) => (picture.src = url));
  const frame = el("div", { class: "frame" }, picture, over);
  frame.style.aspectRatio = `${width} / ${height}`;
  if (probe.box) {
    const [x0, y0, x1, y1] = probe.box.map((share) => 100 * share);
    const box = el("span", { class: "true-box" });
    Object.assign(box.style, { left: `${x0}%`, top: `${y0}%`, width: `${x1 - x0}%`, height: `${y1 - y0}%` });
    frame.append(box);
  }
  return frame;
}

// Channel gates have no picture beneath, and the same height.
function makeGateFrame(probe, canvas) {
  const frame = el("div", { class: "frame gates" }, canvas);
  frame.style.aspectRatio = probe.size ? `${probe.size[0]} / ${probe.size[1]}` : "1";
  return frame;
}

function makeCell(run, probeIndex, column) {
  const probe = run.probes[probeIndex];
  const canvas = el("canvas", { role: "img", "data-column": column.index });
  const frame = column.bars ? makeGateFrame(probe, canvas) : makeFrame(run, probeIndex, canvas);
  const scale = [el("span"), el("span", { class: column.bars ? "channels" : "bar" }), el("span")];
  const name = el("span", { class: "cell-name", title: column.title }, breakable(columnName(column)));
  const caption = el("figcaption", {}, name, el("span", { class: "scale" }, scale));
  const element = el("figure", { class: "cell" }, frame, caption);
  let shown = null; // {map, order}

  async function draw(snapshot) {
    element.setAttribute("aria-busy", "true");
    const map = snapshot ? await loadMap(snapshot, column, probeIndex).catch(() => null) : null;
    if (snapshot !== nearestSnapshot(run, state.epoch)) return; // the reader has moved on, another draw follows
    element.removeAttribute("aria-busy");
    element.classList.toggle("absent", !map);
    canvas.hidden = !map;
    shown = map && { map, order: column.bars ? sortedGates(map) : null };
    const label = map ? `values ${formatValue(map.lo)} to ${formatValue(map.hi)}` : "not logged";
    canvas.setAttribute("aria-label", `${columnName(column)}, image ${probeIndex + 1}: ${label}`);
    if (map) paint(canvas, scale, column, shown, valueRange(run, snapshot, column, map));
    else for (const part of scale) part.textContent = "";
  }
  const read = (event) => shown && readValue(frame.getBoundingClientRect(), event, column, shown);
  return { element, frame, draw, read, bars: column.bars };
}

function paint(canvas, [left, middle, right], column, { map, order }, range) {
  if (column.bars) {
    paintBars(canvas, map, range, order);
    middle.textContent = `${map.width} ch`;
  } else {
    paintHeatmap(canvas, map, range, colourTable(tableOf(column)), state.smooth);
    middle.style.backgroundImage = gradient(tableOf(column));
  }
  left.textContent = formatValue(column.bars ? map.hi : range?.[0]);
  right.textContent = formatValue(column.bars ? map.lo : range?.[1]);
}
