// The class switch: which class the maps explain, if maps of several classes were recorded.

import { className } from "../core/class_names.js";
import { makeCache } from "../core/cache.js";
import { select } from "../core/controls.js";
import { decode } from "../core/decoding.js";
import { aChoice } from "../core/fields.js";
import { isolated } from "../core/format.js";
import { report } from "../core/report.js";
import { loadScript } from "../core/shards.js";
import { addField, state } from "../core/state.js";

addField("target", aChoice("predicted", ["predicted", "true", "second", "third", "difference"]));
const TARGETS = {
  predicted: "predicted",
  true: "true",
  second: "second most probable",
  third: "third most probable",
  difference: "predicted − true",
};

const classCache = makeCache(64e6, async (key, hash) => {
  const { classes, maps } = await loadScript(key, hash);
  const all = {};
  let bytes = 0;
  for (const [index, packed] of Object.entries(maps)) {
    const values = await decode(packed);
    const [height, width] = packed.shape;
    all[index] = { values, height, width, lo: packed.lo, hi: packed.hi };
    bytes += values.byteLength;
  }
  return { value: { classes, all }, bytes };
});

const anyClassMaps = report.runs.some((run) => Object.keys(run.panels?.classes ?? {}).length);

// Whether this column follows the switch: a saliency method that explains a class.
export function followsTarget(snapshot, column) {
  return state.target !== "predicted" && column.kind === "grad_cam" && snapshot.run.panels?.classes[snapshot.epoch];
}

function classKey(snapshot) {
  return `${snapshot.run.folder}/e${snapshot.epoch}-classes`;
}

// The class explained for a sample; for a difference, the first of the two.
function targetClass(snapshot, probe, target = state.target) {
  if (target === "true") return snapshot.run.probes[probe].label;
  if (target === "predicted" || target === "difference") return snapshot.predictions[probe];
  return classCache.now(classKey(snapshot))?.classes[probe]?.[target === "second" ? 1 : 2] ?? null;
}

function mapOfClass({ classes, all }, column, probe, chosen) {
  const rows = classes[probe] ?? [];
  const place = rows.indexOf(chosen);
  const maps = all[column.index];
  if (place < 0 || !maps) return null;
  const i = probe * rows.length + place;
  const size = maps.height * maps.width;
  return { ...maps, values: maps.values.subarray(i * size, (i + 1) * size), lo: maps.lo[i], hi: maps.hi[i] };
}

function cutClassMap(snapshot, kept, column, probe) {
  const map = mapOfClass(kept, column, probe, targetClass(snapshot, probe));
  if (state.target !== "difference" || !map) return map;
  const other = mapOfClass(kept, column, probe, snapshot.run.probes[probe].label);
  if (!other) return null;
  const values = map.values.map((value, i) => value - other.values[i]);
  let most = 0;
  for (const value of values) most = Math.max(most, Math.abs(value));
  return { ...map, values, lo: -most, hi: most };
}

export async function loadClassMap(snapshot, column, probe) {
  const kept = await classCache.get(classKey(snapshot), snapshot.run.panels.classes[snapshot.epoch]);
  return cutClassMap(snapshot, kept, column, probe);
}

export function classMapNow(snapshot, column, probe) {
  const kept = classCache.now(classKey(snapshot));
  return kept && cutClassMap(snapshot, kept, column, probe);
}

// A column as modified by the switch: a difference of two classes is signed.
export function asShown(column) {
  const signed = state.target === "difference" && column.kind === "grad_cam" && anyClassMaps;
  return signed ? { ...column, signed: true } : column;
}

// "for cat", "cat − dog": what a map explains, unless it is the predicted class everywhere.
export function targetWords(snapshot, column, probe) {
  if (!snapshot || state.target === "predicted" || !anyClassMaps) return "";
  const run = snapshot.run;
  if (column.source !== "saliency") return "any class";
  if (!followsTarget(snapshot, column)) return `for ${isolated(className(run, snapshot.predictions[probe]))}`;
  const explained = targetClass(snapshot, probe);
  const name = isolated(className(run, explained));
  if (state.target !== "difference") return `for ${name}`;
  const { label } = run.probes[probe];
  return label === explained ? "same class" : `${name} − ${isolated(className(run, label))}`;
}

export function makeClassSwitch() {
  return anyClassMaps && select("target", "Explained class (Grad-CAM)", TARGETS);
}
