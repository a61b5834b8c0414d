// Loads maps and images from scripts that are added on demand, since a page from file:// cannot fetch files. Each
// script calls cvAttentionShard(key, payload) with the maps of one column in one epoch for a block of samples.

const PER_SHARD = report.blocks ?? { maps: 64, pictures: 16 };
const arrived = new Map();

window.cvAttentionShard = (key, payload) => arrived.set(key, payload);
for (const run of report.runs) for (const snapshot of run.epochs) snapshot.run = run;

function loadScript(key, hash) {
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

const plainCache = makeCache(64e6, async (key, hash, bytes) => ({
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

// The map of one sample: {values, height, width, lo, hi}; channel gates have height 1. Null if it was not
// logged.
async function loadMap(snapshot, column, probe) {
  if (followsTarget(snapshot, column)) return loadClassMap(snapshot, column, probe);
  const block = Math.floor(probe / PER_SHARD.maps);
  const hash = snapshot.maps[column.index]?.[block];
  const all = hash && (await mapCache.get(mapKey(snapshot, column, block), hash));
  return all ? cutMap(all, probe) : null;
}

// The same if it is already in memory, else undefined.
function mapNow(snapshot, column, probe) {
  if (followsTarget(snapshot, column)) return classMapNow(snapshot, column, probe);
  const block = Math.floor(probe / PER_SHARD.maps);
  if (!snapshot.maps[column.index]?.[block]) return null;
  const all = mapCache.now(mapKey(snapshot, column, block));
  return all && cutMap(all, probe);
}

// The classes with the highest probabilities: [[class, probability]], best first.
async function topClasses(snapshot, probe) {
  const block = Math.floor(probe / PER_SHARD.maps);
  const hash = snapshot.top[block];
  if (!hash) return [];
  const rows = await plainCache.get(`${snapshot.run.folder}/e${snapshot.epoch}-top-${block}`, hash, 8e3);
  return rows[probe % PER_SHARD.maps] ?? [];
}

// {column index: {measure: [a number or null for each sample]}}.
function loadMeasures(snapshot) {
  const key = `${snapshot.run.folder}/e${snapshot.epoch}-measures`;
  return plainCache.get(key, snapshot.measures, 2e3 * snapshot.predictions.length);
}

// The image of one sample as a data URL, or null if there is none.
async function loadPicture(run, probe) {
  const block = Math.floor(probe / PER_SHARD.pictures);
  const urls = await plainCache.get(`${run.folder}/images-${block}`, run.pictures[block], 4e5);
  return urls[probe % PER_SHARD.pictures];
}

function pictureNow(run, probe) {
  const block = Math.floor(probe / PER_SHARD.pictures);
  return plainCache.now(`${run.folder}/images-${block}`)?.[probe % PER_SHARD.pictures];
}

async function decode(maps) {
  const letters = atob(maps.data);
  const packed = new Uint8Array(letters.length);
  for (let i = 0; i < packed.length; i++) packed[i] = letters.charCodeAt(i);
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  return maps.type === "f16" ? fromHalf(bytes) : fromSteps(bytes, maps);
}

let halves = null; // all float16 values by their bits

function fromHalf(bytes) {
  halves ??= Float32Array.from({ length: 65536 }, (_, bits) => half(bits));
  const values = new Float32Array(bytes.length / 2);
  for (let i = 0; i < values.length; i++) values[i] = halves[bytes[2 * i] | (bytes[2 * i + 1] << 8)];
  return values;
}

function half(bits) {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return exponent ? sign * 2 ** (exponent - 15) * (1 + fraction / 1024) : sign * 2 ** -24 * fraction;
}

function fromSteps(bytes, { shape, lo, hi }) {
  const size = shape.reduce((product, side) => product * side, 1);
  return Float32Array.from(bytes, (step, i) => {
    const probe = Math.floor(i / size);
    return lo[probe] + (step / 255) * (hi[probe] - lo[probe]);
  });
}
