// A map of numbers as pixels.

const SMOOTH_SIDE = 128; // less than a cell on the screen: drawing a canvas smaller costs more than drawing it larger

// Draws at native resolution, or smoothly enlarged: numbers are interpolated and then coloured, so that no
// colour appears that is not in the table. Values below the threshold, a fraction of the colour bar,
// stay transparent; on a signed bar these are values near zero.
export function paintHeatmap(canvas, map, range, table, { smooth, threshold, contour, signed }) {
  const factor = Math.max(1, Math.ceil(SMOOTH_SIDE / Math.max(map.height, map.width)));
  let drawn = map;
  if (smooth && factor > 1) drawn = resample(map, map.height * factor, map.width * factor);
  else if (contour && factor > 1) drawn = repeat(map, factor);
  const { values, height, width } = drawn;
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
  canvas.classList.toggle("nearest", !smooth);
  const context = canvas.getContext("2d");
  const pixels = context.createImageData(width, height);
  const words = new Uint32Array(pixels.data.buffer);
  const colours = packed(table);
  const [lo, hi] = range ?? [0, 1];
  const scale = hi > lo ? 255 / (hi - lo) : 0;
  const middle = signed && !scale ? 127.5 : 0; // zero everywhere is neutral, not the lowest value
  const far = signed ? (value) => Math.abs(2 * value - 1) : (value) => value;
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    if (value - value !== 0) continue; // not a number or infinite: stays transparent
    const at = Math.min(255, Math.max(0, (value - lo) * scale + middle));
    if (threshold > 0 && far(at / 255) < threshold) continue;
    words[i] = colours[Math.round(at)];
  }
  if (contour) {
    const level = threshold > 0 ? threshold : 0.5;
    const inside = Uint8Array.from(values, (value) => far(((value - lo) * scale + middle) / 255) >= level);
    drawContour(words, inside, height, width);
  }
  context.putImageData(pixels, 0, 0);
}

const WHITE = 0xffffffff;
const BLACK = 0xff000000;

// White just inside of the level and black just outside, to be visible on every colour.
function drawContour(words, inside, height, width) {
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const i = y * width + x;
      const edge =
        (x > 0 && inside[i - 1] !== inside[i]) ||
        (x < width - 1 && inside[i + 1] !== inside[i]) ||
        (y > 0 && inside[i - width] !== inside[i]) ||
        (y < height - 1 && inside[i + width] !== inside[i]);
      if (edge) words[i] = inside[i] ? WHITE : BLACK;
    }
  }
}

const packedTables = new Map();

// The colours as 32-bit pixels (little-endian, like all machines that run browsers).
function packed(table) {
  if (!packedTables.has(table)) {
    const words = new Uint32Array(256);
    for (let i = 0; i < 256; i++)
      words[i] = BLACK | (table[3 * i + 2] << 16) | (table[3 * i + 1] << 8) | table[3 * i];
    packedTables.set(table, words);
  }
  return packedTables.get(table);
}

// Bilinear, with the centres of the cells in place (what frameworks call align_corners=False).
export function resample(map, height, width) {
  if (map.height === height && map.width === width) return map;
  const rows = taps(map.height, height);
  const columns = taps(map.width, width);
  const values = new Float32Array(height * width);
  const from = map.values;
  for (let y = 0; y < height; y++) {
    const top = rows.near[y] * map.width;
    const bottom = rows.far[y] * map.width;
    const down = rows.share[y];
    for (let x = 0; x < width; x++) {
      const left = columns.near[x];
      const right = columns.far[x];
      const across = columns.share[x];
      const upper = from[top + left] + across * (from[top + right] - from[top + left]);
      const lower = from[bottom + left] + across * (from[bottom + right] - from[bottom + left]);
      values[y * width + x] = upper + down * (lower - upper);
    }
  }
  return { ...map, values, height, width };
}

function repeat(map, factor) {
  const height = map.height * factor;
  const width = map.width * factor;
  const cell = (i) => Math.floor(i / width / factor) * map.width + Math.floor((i % width) / factor);
  const values = Float32Array.from({ length: height * width }, (_, i) => map.values[cell(i)]);
  return { ...map, values, height, width };
}

const knownTaps = new Map();

// The neighbouring cells of every pixel, and its distance from the left one.
function taps(cells, pixels) {
  const key = `${cells}/${pixels}`;
  if (!knownTaps.has(key)) {
    const near = new Uint16Array(pixels);
    const far = new Uint16Array(pixels);
    const share = new Float32Array(pixels);
    for (let i = 0; i < pixels; i++) {
      const at = Math.min(cells - 1, Math.max(0, ((i + 0.5) * cells) / pixels - 0.5));
      near[i] = Math.floor(at);
      far[i] = Math.min(cells - 1, near[i] + 1);
      share[i] = at - near[i];
    }
    knownTaps.set(key, { near, far, share });
  }
  return knownTaps.get(key);
}
