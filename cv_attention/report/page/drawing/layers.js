// What is painted of a map: {map, range, table, signed, uniform}.

import { state } from "../core/state.js";
import { tableOf } from "./colours.js";
import { uniformOf, valueRange, weightsRange } from "./scales.js";

export function layerOf(run, snapshot, column, map) {
  return {
    map,
    range: valueRange(run, snapshot, column, map),
    table: tableOf(column),
    signed: column.signed,
    uniform: column.weights ? uniformOf(map) : null,
  };
}

// Weights that stand side by side, such as those of all heads, at one scale; `all`: those of every image.
export function weightLayers(maps, all) {
  const range = maps.length ? weightsRange(maps, all) : null;
  return maps.map((map) => ({ map, range, table: state.colours, signed: false, uniform: uniformOf(map) }));
}
