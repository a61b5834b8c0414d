// Numbers of maps from text: base64 of compressed float16 values, or of 256 steps between extremes.

export async function decode(maps) {
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
