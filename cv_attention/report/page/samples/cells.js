// One map of one sample: canvas over the picture, colour bar with the values at its ends. While maps are
// compared a second canvas lies over the first.

import { breakable, el } from "../core/dom.js";
import { nearestSnapshot } from "../core/epochs.js";
import { columnName, epochName, formatValue } from "../core/format.js";
import { change, state } from "../core/state.js";
import { paintBars, sortedGates } from "../drawing/bars.js";
import { colourTable } from "../drawing/colours.js";
import { makeFrame, makeGateFrame } from "../drawing/frames.js";
import { paintHeatmap } from "../drawing/heatmap.js";
import { makeColourBar, makeGateBar } from "../drawing/legend.js";
import { enqueue } from "../drawing/painting.js";
import { readValue } from "../drawing/readout.js";
import { isNearlyConstant } from "../drawing/scales.js";
import { placeName, placeTitle, rangeOfAll, sampleAt, snapshotAt } from "./adjacent.js";
import { asShown, targetWords } from "./classes.js";
import { comparison, partnerOf, twoBars } from "./comparison.js";
import { loadMap, mapNow } from "./maps.js";

const NO_VALUE = "All values are infinite or not a number.";
const CONSTANT = "The values hardly differ: stretched over all colours, the map would show noise.";

// home: the run whose samples are listed; place: whose map is shown, see `placesOf`.
export function makeCell(home, place, room) {
  const { run, column } = place;
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
  const flat = el("span", { class: "flat", hidden: true });
  frame.append(elsewhere, target, compared, flat);
  const make = column.bars ? makeGateBar : makeColourBar;
  const [bar, barOfA, barOfB] = [make(), make("A"), make("B")];
  const name = el("span", { class: "cell-name", title: placeTitle(place) }, breakable(columnName(column)));
  const whose = place.words && el("bdi", { class: "cell-whose" }, place.words);
  const caption = el("figcaption", {}, name, whose, bar.element, barOfA.element, barOfB.element);
  const element = el("figure", { class: "cell", "data-column": column.index, "data-whose": place.whose }, slot, caption);
  const cell = { element, frame, bars: column.bars, bind, paint, read, tellBars, size: { width: 0, height: 0 } };
  let index = null; // of the sample, at home
  let there = null; // the same in the run of the map
  let shown = null; // {map, other, range, order}

  frame.addEventListener("click", () => {
    const swiping = twoBars() && state.compare === "swipe"; // there, a press moves the line
    if (index !== null && !swiping) change({ sample: index, large: column.index, whose: place.whose });
  });

  function bind(next) {
    index = next;
    there = next === null ? null : sampleAt(place, home, next);
    shown = null;
    first.hidden = second.hidden = true;
    tellBars();
    element.classList.toggle("nowhere", there === null);
    if (there !== null) bindFrame(there);
  }

  function paint() {
    if (index === null) return;
    const bound = index;
    const snapshot = there === null ? null : snapshotAt(place);
    const partner = place.whose ? null : partnerOf(run, snapshot, column, there);
    const here = [snapshot && { snapshot, column, index: there }, partner].filter(Boolean);
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
    if (shown && place.whose) Object.assign(shown, { badge: "", words: "" });
    const range = shown && !shown.difference && !shown.over ? rangeOfAll(home, place, map) : null;
    if (range) shown.under = { ...shown.under, range };
    if (shown && column.bars) shown.order = sortedGates(map);
    second.hidden = !shown?.over;
    const explained = map ? targetWords(snapshot, column, there) : "";
    target.hidden = !explained;
    target.textContent = explained;
    compared.textContent = shown?.badge ?? "";
    compared.hidden = !compared.textContent;
    const label = map ? `values ${formatValue(map.lo)} to ${formatValue(map.hi)}` : "not logged";
    const named = `${placeName(place)} ${explained}, image ${index + 1}: ${label}`.replace(" ,", ",");
    first.setAttribute("aria-label", shown?.words ? `${named}; ${shown.words}` : named);
    const usual = nearestSnapshot(home, state.epoch);
    elsewhere.hidden = !snapshot || snapshot.run.export || snapshot.epoch === usual?.epoch;
    if (snapshot) elsewhere.textContent = epochName(snapshot.epoch);
    const empty = map?.lo === null; // without a finite value nothing is drawn
    flat.hidden = !map || Boolean(shown.difference) || !(empty || isNearlyConstant(run, asShown(column), map));
    flat.textContent = empty ? "no finite value" : "nearly constant";
    flat.title = empty ? NO_VALUE : CONSTANT;
    if (shown) {
      paintLayer(first, shown.under, cell, shown.order);
      if (shown.over) paintLayer(second, shown.over, cell, shown.order);
    }
    tellBars();
  }

  // Two maps that share a frame have a bar each; rows keep their height where only some of them are compared.
  function tellBars() {
    const two = Boolean(shown?.over);
    bar.element.hidden = two;
    barOfA.element.hidden = !two;
    barOfB.element.hidden = !twoBars();
    barOfB.element.classList.toggle("unused", !two);
    if (two) barOfA.tell(shown.under);
    if (two) barOfB.tell(shown.over);
    else barOfB.clear();
    if (shown) bar.tell(shown.under);
    else bar.clear();
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
