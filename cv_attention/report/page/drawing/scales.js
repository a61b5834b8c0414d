// The values at the ends of the colours: a natural range for each kind of map, one that maps share, or limits by hand.

import { shownColumns, state } from "../core/state.js";

const LEAST_SPREAD = 0.02; // of a gate's scale; below it a map is nearly constant
const LEAST_CONTRAST = 0.1; // of the uniform weight
const LEAST_RELATIVE = 1e-3; // of the largest value

function symmetric(lo, hi) {
  const most = Math.max(Math.abs(lo), Math.abs(hi));
  return [-most, most];
}

export function finiteRange(values) {
  let lo = Infinity;
  let hi = -Infinity;
  for (const value of values) {
    if (!Number.isFinite(value)) continue;
    if (value < lo) lo = value;
    if (value > hi) hi = value;
  }
  return lo <= hi ? [lo, hi] : null;
}

// The value below which this fraction lies, interpolated between the neighbours; null without finite values.
export function quantile(values, fraction) {
  const sorted = Float64Array.from(values.filter(Number.isFinite)).sort();
  if (!sorted.length) return null;
  const at = fraction * (sorted.length - 1);
  const low = sorted[Math.floor(at)];
  return low + (at - Math.floor(at)) * (sorted[Math.ceil(at)] - low);
}

// The mean of weights that sum to one: what each would be if they were all equal. It survives averaging into cells.
export function uniformOf(map) {
  let sum = 0;
  let count = 0;
  for (const value of map.values) {
    if (!Number.isFinite(value)) continue;
    sum += value;
    count++;
  }
  return count ? sum / count : 0;
}

// The range of a map; signed ones keep zero in the middle. Null if the map has no finite value.
export function valueRange(run, snapshot, column, map) {
  if (state.scale === "manual") return limitsByHand(column.signed);
  if (state.scale === "natural") return naturalRange(run, snapshot, column, map);
  if (state.scale === "image") return endsOf(map, column.signed);
  const shared = sharedRange(run, snapshot, column);
  return column.signed && shared ? symmetric(...shared) : shared;
}

export function limitsByHand(signed) {
  const [low, high] = [Math.min(state.low, state.high), Math.max(state.low, state.high)];
  return signed ? symmetric(low, high) : [low, high];
}

// The extremes of one map, without the percentiles that are cut off.
function endsOf(map, signed) {
  if (map.lo === null || map.hi === null) return null;
  const cut = Number(state.clip) / 100;
  if (!cut) return signed ? symmetric(map.lo, map.hi) : [map.lo, map.hi];
  if (signed) {
    const most = quantile(map.values.map(Math.abs), 1 - cut);
    return [-most, most];
  }
  return [quantile(map.values, cut), quantile(map.values, 1 - cut)];
}

function extremesOf(epoch, index) {
  return epoch.clips?.[index]?.[state.clip] ?? epoch.ranges[index];
}

function sharedRange(run, snapshot, column) {
  const alike = (other) => other.bars === column.bars && other.signed === column.signed;
  const columns = state.scale === "global" ? shownColumns(run).filter(alike) : [column];
  const epochs = state.scale === "column" ? [snapshot] : run.epochs;
  return joined(epochs.flatMap((epoch) => columns.map(({ index }) => extremesOf(epoch, index))));
}

// The range that includes all of these; null if none is known.
export function joined(ranges) {
  const known = ranges.filter(Boolean);
  if (!known.length) return null;
  return [Math.min(...known.map(([lo]) => lo)), Math.max(...known.map(([, hi]) => hi))];
}

// Gates have the scale of their function: 0 to 1, 0 to 2, -1 to 1; others that of all epochs, from zero.
function gateRange(run, column) {
  const all = joined(run.epochs.map((epoch) => epoch.ranges[column.index]));
  if (!all) return null;
  const [, most] = symmetric(...all);
  const end = most <= 1 ? 1 : most <= 2 ? 2 : most;
  return all[0] < 0 ? [-end, end] : [0, end];
}

// Weights that sum to one start at zero and reach at least twice the uniform weight; a saliency map, whose unit is
// arbitrary, starts at zero and ends at its own largest value.
function naturalRange(run, snapshot, column, map) {
  if (map.lo === null || map.hi === null) return null;
  if (column.weights) return [0, Math.max(2 * uniformOf(map), (extremesOf(snapshot, column.index) ?? [0, map.hi])[1])];
  if (column.source === "attention") return gateRange(run, column);
  const ends = endsOf(map, column.signed);
  return column.signed ? ends : [Math.min(0, ends[0]), Math.max(0, ends[1])];
}

// One range for weights that stand side by side, such as the heads of a block; `all`: those of every image.
export function weightsRange(maps, all) {
  if (state.scale === "manual") return limitsByHand(false);
  const shared = ["column", "run", "global"].includes(state.scale);
  const range = shared ? finiteRange(all) : joined(maps.map((map) => finiteRange(map.values)));
  if (!range || state.scale === "image") return range;
  return [0, Math.max(range[1], ...maps.map((map) => 2 * uniformOf(map)))];
}

// Whether a map hardly varies, so that stretching it over all colours would show noise.
export function isNearlyConstant(run, column, map) {
  if (map.lo === null || map.hi === null) return false;
  const spread = map.hi - map.lo;
  if (column.weights) return spread < LEAST_CONTRAST * uniformOf(map);
  if (column.source !== "attention") return spread <= LEAST_RELATIVE * symmetric(map.lo, map.hi)[1];
  const [lo, hi] = gateRange(run, column) ?? [0, 1];
  return spread < LEAST_SPREAD * (hi - lo);
}
