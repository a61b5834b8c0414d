// Maps come in scripts that are added when they are needed, since a page from file:// cannot fetch files.
// Each calls cvAttentionShard(key, {maps: {column: {shape, lo, hi, type, data}}, top}).

const PROBES_PER_SHARD = 64;
const loading = new Map(); // key -> promise of the shard
const arrived = new Map();

window.cvAttentionShard = (key, shard) => arrived.set(key, shard);

function loadShard(snapshot, number) {
  const { key, src } = snapshot.shards[number];
  if (!loading.has(key)) {
    loading.set(
      key,
      new Promise((resolve, reject) => {
        const script = el("script", { src });
        script.onload = () =>
          arrived.has(key) ? resolve(arrived.get(key)) : reject(new Error(`${src} is empty`));
        script.onerror = () => reject(new Error(`${src} is missing`));
        document.head.append(script);
      }),
    );
  }
  return loading.get(key);
}

// The map of one probe: {values, height, width, lo, hi}; channel gates have height 1. Null where it was not
// logged.
async function loadMap(snapshot, column, probe) {
  const shard = await loadShard(snapshot, Math.floor(probe / PROBES_PER_SHARD));
  const maps = shard.maps[column.index];
  if (!maps) return null;
  maps.decoded ??= decode(maps);
  const all = await maps.decoded;
  const i = probe % PROBES_PER_SHARD;
  const [height, width] = maps.shape.length === 2 ? maps.shape : [1, maps.shape[0]];
  const size = height * width;
  return { values: all.subarray(i * size, (i + 1) * size), height, width, lo: maps.lo[i], hi: maps.hi[i] };
}

async function topClasses(snapshot, probe) {
  const shard = await loadShard(snapshot, Math.floor(probe / PROBES_PER_SHARD));
  return shard.top[probe % PROBES_PER_SHARD] ?? [];
}

async function decode(maps) {
  const packed = Uint8Array.from(atob(maps.data), (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  return maps.type === "f16" ? fromHalf(bytes) : fromSteps(bytes, maps);
}

function fromHalf(bytes) {
  const view = new DataView(bytes.buffer);
  const values = new Float32Array(bytes.length / 2);
  for (let i = 0; i < values.length; i++) values[i] = half(view.getUint16(2 * i, true));
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
