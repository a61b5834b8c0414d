// Finds the map that a map is compared with: in another epoch, another column, or another run.
// state.versus is "epoch:3", "column:5" or "run:1"; A is the map of the cell, B the other one.

import { nearestSnapshot } from "../core/epochs.js";
import { formatValue } from "../core/format.js";
import { report } from "../core/report.js";
import { state } from "../core/state.js";
import { resample } from "../drawing/heatmap.js";
import { layerOf } from "../drawing/layers.js";
import { limitsByHand } from "../drawing/scales.js";
import { asShown } from "./classes.js";
import { sampleIn } from "./twins.js";

export function versus() {
  const [kind, text] = state.versus.split(":");
  const number = Number(text);
  return ["epoch", "column", "run"].includes(kind) && Number.isInteger(number) ? { kind, number } : null;
}

// Where the other map is: {snapshot, column, index}, or null.
export function partnerOf(run, snapshot, column, index) {
  const chosen = versus();
  if (!chosen || !snapshot) return null;
  if (chosen.kind === "epoch") {
    const then = nearestSnapshot(run, chosen.number, column);
    return then && { snapshot: then, column, index };
  }
  if (chosen.kind === "column") {
    const other = run.columns[chosen.number];
    if (!other || other.bars !== column.bars) return null;
    const there = nearestSnapshot(run, state.epoch, other);
    return there && { snapshot: there, column: other, index };
  }
  const other = report.runs[chosen.number];
  const twin = twinOf(column, other?.columns ?? []);
  const place = twin ? sampleIn(run, other, index) : null;
  const there = place === null ? null : nearestSnapshot(other, state.epoch, twin);
  return there && { snapshot: there, column: twin, index: place };
}

// The same column of another run; for a saliency method that it lacks, its first other one.
function twinOf(column, columns) {
  const alike = columns.filter((one) => one.bars === column.bars);
  const same = alike.find((one) => one.title === column.title && one.kind === column.kind);
  if (same || column.source !== "saliency") return same;
  return alike.find((one) => one.source === "saliency");
}

// Why a map is not compared while others are.
function aloneWords() {
  const chosen = versus();
  if (!chosen) return "";
  return chosen.kind === "run" ? "not in B" : "not comparable";
}

// The layers to paint, and for the readout the maps that they come from; `words` describe how the two differ, and
// `badge` what is not visible.
export function comparison(run, snapshot, plainColumn, map, partner, other) {
  const column = asShown(plainColumn);
  const plain = layerOf(run, snapshot, column, map);
  if (!partner || !other || (column.bars && other.width !== map.width)) {
    const words = aloneWords();
    return { map, under: plain, words, badge: words };
  }
  if (state.compare === "difference") return { map, other, ...differenceLayer(column, partner, map, other) };
  const there = layerOf(partner.snapshot.run, partner.snapshot, partner.column, other);
  const alike = partner.column.title === column.title && ["image", "natural"].includes(state.scale);
  const both = alike && plain.range && there.range ? unionOf(plain.range, there.range) : null;
  return { map, other, under: { ...plain, range: both ?? plain.range }, over: { ...there, range: both ?? there.range } };
}

// Two maps of the same kind share a colour bar, so that they can be compared by eye.
function unionOf(a, b) {
  return [Math.min(a[0], b[0]), Math.max(a[1], b[1])];
}

// Whether two maps with a colour bar each lie over each other.
export function twoBars() {
  return Boolean(versus()) && state.compare !== "difference";
}

const NO_DIFFERENCE = "no difference";

// A minus B. Maps of different columns have different units: each is scaled to its own range first.
function differenceLayer(column, partner, map, other) {
  const scaled = partner.column.title !== column.title;
  const height = Math.max(map.height, other.height);
  const width = Math.max(map.width, other.width);
  const [a, b] = [map, other].map((one) => resample(scaled ? toShares(one) : one, height, width));
  const values = a.values.map((value, i) => value - b.values[i]);
  let most = 0;
  for (const value of values) if (Math.abs(value) > most) most = Math.abs(value);
  const difference = { values, height, width, lo: -most, hi: most };
  return {
    difference,
    badge: most > 0 ? "" : NO_DIFFERENCE,
    scaled,
    under: { map: difference, range: state.scale === "manual" ? limitsByHand(true) : [-most, most], table: state.signed, signed: true },
    words: most > 0 ? `differences up to ${formatValue(most)}` : NO_DIFFERENCE,
  };
}

function toShares(map) {
  const span = map.hi - map.lo || 1;
  return { ...map, values: map.values.map((value) => (value - map.lo) / span) };
}
