// Provides recorded heads, pairwise maps and gate statistics to the attention panel.

import { makeCache } from "../core/cache.js";
import { decode } from "../core/decoding.js";
import { loadScript } from "../core/shards.js";
import { state } from "../core/state.js";

async function unpack(packed) {
  const [height, width] = packed.shape.length === 2 ? packed.shape : [1, packed.shape[0]];
  return { ...packed, values: await decode(packed), height, width };
}

async function unpackAll(found) {
  const all = {};
  for (const [name, packed] of Object.entries(found)) all[name] = await unpack(packed);
  return all;
}

const weigh = (all) => Object.values(all).reduce((sum, one) => sum + one.values.byteLength, 0);
export const headCache = makeCache(64e6, async (key, hash) => {
  const value = await unpackAll(await loadScript(key, hash));
  return { value, bytes: weigh(value) };
});

export const gateCache = makeCache(32e6, async (key, hash) => {
  const { images, gates } = await loadScript(key, hash);
  for (const one of Object.values(gates)) {
    one.quantiles = await unpack(one.quantiles);
    if (!one.byClass) continue;
    one.byClass = await unpack(one.byClass);
    one.byClass.height = one.byClass.values.length / one.byClass.width;
  }
  return { value: { images, gates }, bytes: 1e5 };
});

// The recorded epoch nearest to the chosen one among the keys of `hashes`, or null.
function nearestOf(hashes, epoch = state.epoch) {
  const epochs = Object.keys(hashes ?? {}).map(Number);
  if (!epochs.length) return null;
  return epochs.reduce((a, b) => (Math.abs(b - epoch) < Math.abs(a - epoch) ? b : a));
}

export async function loadPanel(run, name, cache) {
  const hashes = run.panels?.[name] ?? {};
  const epoch = nearestOf(hashes);
  if (epoch === null) return null;
  return { epoch, ...{ found: await cache.get(`${run.folder}/e${epoch}-${name}`, hashes[epoch]) } };
}

// The maps of all heads for one sample: what every position receives.
export function headMaps(all, sample) {
  const size = all.height * all.width;
  return Array.from({ length: all.heads }, (_, head) => {
    const i = sample * all.heads + head;
    const values = all.values.subarray(i * size, (i + 1) * size);
    return values.length ? { values, height: all.height, width: all.width } : null;
  }).filter(Boolean);
}

// What one position attends to, in every head.
export function queryMaps(all, sample, query) {
  const size = all.height * all.width;
  if (sample >= all.images || query >= all.queries) return [];
  return Array.from({ length: all.heads }, (_, head) => {
    const i = (sample * all.heads + head) * all.queries + query;
    return { values: all.values.subarray(i * size, (i + 1) * size), height: all.height, width: all.width };
  });
}
