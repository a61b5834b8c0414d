// Loads maps and images from scripts that are added on demand, since a page from file:// cannot fetch files. Each
// script calls cvAttentionShard(key, payload) with the maps of one column in one epoch for a block of samples.

import { makeCache } from "./cache.js";
import { decode } from "./decoding.js";
import { el } from "./dom.js";
import { report } from "./report.js";

const PER_SHARD = report.blocks ?? { maps: 64, pictures: 16 };
const arrived = new Map();

globalThis.cvAttentionShard = (key, payload) => arrived.set(key, payload);

// A page that is one file has its shards in it.
let inside = null;

function loadInside(key, hash) {
  inside ??= new Map([...document.querySelectorAll("[data-shard]")].map((block) => [block.dataset.shard, block]));
  const block = inside.get(`${key}.${hash}`);
  return block && JSON.parse(block.textContent);
}

export function loadScript(key, hash) {
  const known = loadInside(key, hash);
  if (known) return Promise.resolve(known);
  return new Promise((resolve, reject) => {
    const src = `data/${key}.${hash}.js`;
    const script = el("script", { src });
    script.onload = () => {
      script.remove();
      const payload = arrived.get(key);
      arrived.delete(key);
      if (payload === undefined) reject(new Error(`${src} is empty`));
      else resolve(payload);
    };
    script.onerror = () => reject(new Error(`${src} is missing`));
    document.head.append(script);
  });
}

const mapCache = makeCache(160e6, async (key, hash) => {
  const packed = await loadScript(key, hash).catch(() => null);
  if (!packed) return { value: null, bytes: 0 }; // the folder is incomplete
  const values = await decode(packed);
  const [height, width] = packed.shape.length === 2 ? packed.shape : [1, packed.shape[0]];
  const { lo, hi } = packed;
  return { value: { values, height, width, lo, hi }, bytes: values.byteLength };
});

export const plainCache = makeCache(64e6, async (key, hash, bytes) => ({
  value: await loadScript(key, hash),
  bytes,
}));

function mapKey(snapshot, column, block) {
  return `${snapshot.run.folder}/e${snapshot.epoch}-c${column.index}-${block}`;
}

function cutMap(all, probe) {
  const i = probe % PER_SHARD.maps;
  const { height, width } = all;
  const size = height * width;
  return {
    values: all.values.subarray(i * size, (i + 1) * size),
    height,
    width,
    lo: all.lo[i],
    hi: all.hi[i],
  };
}

// The recorded map of one sample: {values, height, width, lo, hi}; channel gates have height 1. Null if it was not
// logged.
export async function loadRecordedMap(snapshot, column, probe) {
  const block = Math.floor(probe / PER_SHARD.maps);
  const hash = snapshot.maps[column.index]?.[block];
  const all = hash && (await mapCache.get(mapKey(snapshot, column, block), hash));
  return all ? cutMap(all, probe) : null;
}

// The same if it is already in memory, else undefined.
export function recordedMapNow(snapshot, column, probe) {
  const block = Math.floor(probe / PER_SHARD.maps);
  if (!snapshot.maps[column.index]?.[block]) return null;
  const all = mapCache.now(mapKey(snapshot, column, block));
  return all && cutMap(all, probe);
}

// The classes with the highest probabilities: [[class, probability]], best first.
export async function topClasses(snapshot, probe) {
  const block = Math.floor(probe / PER_SHARD.maps);
  const hash = snapshot.top[block];
  if (!hash) return [];
  const rows = await plainCache.get(`${snapshot.run.folder}/e${snapshot.epoch}-top-${block}`, hash, 8e3);
  return rows[probe % PER_SHARD.maps] ?? [];
}

// {column index: {measure: [a number or null for each sample]}}.
export function loadMeasures(snapshot) {
  const key = `${snapshot.run.folder}/e${snapshot.epoch}-measures`;
  return plainCache.get(key, snapshot.measures, 2e3 * snapshot.predictions.length);
}

// Runs of one study share their images.
function pictureKey(run, block) {
  return `${run.pictureFolder ?? run.folder}/images-${block}`;
}

// The image of one sample as a data URL, or null if there is none.
export async function loadPicture(run, probe) {
  const block = Math.floor(probe / PER_SHARD.pictures);
  const urls = await plainCache.get(pictureKey(run, block), run.pictures[block], 4e5);
  return urls[probe % PER_SHARD.pictures];
}

export function pictureNow(run, probe) {
  const block = Math.floor(probe / PER_SHARD.pictures);
  return plainCache.now(pictureKey(run, block))?.[probe % PER_SHARD.pictures];
}
