// One map of one sample: canvas over the picture, colour bar with the values at its ends. While maps are
// compared a second canvas lies over the first.

import { breakable, el } from "../core/dom.js";
import { nearestSnapshot } from "../core/epochs.js";
import { columnName, epochName, formatValue } from "../core/format.js";
import { state } from "../core/state.js";
import { paintBars, sortedGates } from "../drawing/bars.js";
import { colourTable, gradient } from "../drawing/colours.js";
import { makeFrame, makeGateFrame } from "../drawing/frames.js";
import { paintHeatmap } from "../drawing/heatmap.js";
import { enqueue } from "../drawing/painting.js";
import { readValue } from "../drawing/readout.js";
import { targetWords } from "./classes.js";
import { comparison, partnerOf } from "./comparison.js";
import { loadMap, mapNow } from "./maps.js";

export function makeCell(run, column, room) {
  const first = el("canvas", { role: "img", class: "map a" });
  const second = el("canvas", { class: "map b", hidden: true, "aria-hidden": "true" });
  const {
    slot,
    frame,
    bind: bindFrame,
  } = column.bars ? makeGateFrame(room, first, second) : makeFrame(run, room, first, second);
  const elsewhere = el("span", { class: "elsewhere", hidden: true });
  const target = el("span", { class: "elsewhere target", hidden: true });
  const compared = el("span", { class: "compared", hidden: true });
  frame.append(elsewhere, target, compared);
  const scale = [el("span"), el("span", { class: column.bars ? "channels" : "bar" }), el("span")];
  const name = el("span", { class: "cell-name", title: column.title }, breakable(columnName(column)));
  const caption = el("figcaption", {}, name, el("span", { class: "scale" }, scale));
  const element = el("figure", { class: "cell", "data-column": column.index }, slot, caption);
  const cell = { element, frame, bars: column.bars, bind, paint, read, size: { width: 0, height: 0 } };
  let index = null;
  let shown = null; // {map, other, range, order}

  function bind(next) {
    index = next;
    shown = null;
    first.hidden = second.hidden = true;
    bindFrame(next);
  }

  function paint() {
    if (index === null) return;
    const bound = index;
    const snapshot = nearestSnapshot(run, state.epoch, column);
    const partner = partnerOf(run, snapshot, column, index);
    const here = [snapshot && { snapshot, column, index }, partner].filter(Boolean);
    if (here.some((one) => mapNow(one.snapshot, one.column, one.index) === undefined)) {
      element.setAttribute("aria-busy", "true");
      const loads = here.map((one) => loadMap(one.snapshot, one.column, one.index));
      Promise.all(loads).then(() => bound === index && enqueue(cell));
      return;
    }
    element.removeAttribute("aria-busy");
    const [map, other] = here.map((one) => mapNow(one.snapshot, one.column, one.index));
    draw(snapshot, map ?? null, partner, other ?? null);
  }

  function draw(snapshot, map, partner, other) {
    element.classList.toggle("absent", !map);
    first.hidden = !map;
    shown = map && comparison(run, snapshot, column, map, partner, other);
    if (shown && column.bars) shown.order = sortedGates(map);
    second.hidden = !shown?.over;
    const explained = map ? targetWords(snapshot, column, index) : "";
    target.hidden = !explained;
    target.textContent = explained;
    compared.textContent = shown?.badge ?? "";
    compared.hidden = !compared.textContent;
    const label = map ? `values ${formatValue(map.lo)} to ${formatValue(map.hi)}` : "not logged";
    const named = `${columnName(column)} ${explained}, image ${index + 1}: ${label}`.replace(" ,", ",");
    first.setAttribute("aria-label", shown?.words ? `${named}; ${shown.words}` : named);
    const usual = nearestSnapshot(run, state.epoch);
    elsewhere.hidden = !snapshot || snapshot === usual;
    if (snapshot) elsewhere.textContent = epochName(snapshot.epoch);
    if (!shown) for (const part of scale) part.textContent = "";
    else {
      paintLayer(first, shown.under, cell, shown.order);
      if (shown.over) paintLayer(second, shown.over, cell, shown.order);
      labelScale(scale, shown.under, column);
    }
  }
  function read(event) {
    return shown && readValue(frame.getBoundingClientRect(), event, column, shown);
  }
  return cell;
}

// A layer: {map, range, table, signed}.
function paintLayer(canvas, { map, range, table, signed }, cell, order) {
  if (cell.bars) {
    paintBars(canvas, map, range, order, cell.size);
    return;
  }
  const { smooth, threshold, contour } = state;
  paintHeatmap(canvas, map, range, colourTable(table), { smooth, threshold, contour, signed });
}

function labelScale([left, middle, right], { map, range, table, signed }, column) {
  if (column.bars) {
    middle.textContent = `${map.width} ch`;
    left.textContent = formatValue(map.hi);
    right.textContent = formatValue(map.lo);
    return;
  }
  middle.style.backgroundImage = gradient(table);
  middle.dataset.table = table;
  middle.classList.toggle("signed", signed);
  left.textContent = formatValue(range?.[0]);
  right.textContent = formatValue(range?.[1]);
}
