// The map of one sample as the page shows it: of the class that the switch selects, or as recorded.

import { loadRecordedMap, recordedMapNow } from "../core/shards.js";
import { classMapNow, followsTarget, loadClassMap } from "./classes.js";

export async function loadMap(snapshot, column, probe) {
  const load = followsTarget(snapshot, column) ? loadClassMap : loadRecordedMap;
  return load(snapshot, column, probe);
}

// The same if it is already in memory, else undefined.
export function mapNow(snapshot, column, probe) {
  const now = followsTarget(snapshot, column) ? classMapNow : recordedMapNow;
  return now(snapshot, column, probe);
}
