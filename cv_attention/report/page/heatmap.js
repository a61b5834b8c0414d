// A map of numbers as pixels.

const SMOOTH_SIDE = 160;

// The numbers that the ends of the colour bar stand for. Signed maps keep zero in the middle.
function valueRange(run, snapshot, column, map) {
  let lo = map.lo;
  let hi = map.hi;
  if (state.scale === "column") [lo, hi] = snapshot.ranges[column.index] ?? [lo, hi];
  if (state.scale === "run") {
    const ranges = run.epochs.map((epoch) => epoch.ranges[column.index]).filter(Boolean);
    lo = Math.min(...ranges.map((range) => range[0]));
    hi = Math.max(...ranges.map((range) => range[1]));
  }
  if (lo === null || hi === null) return null;
  if (!column.signed) return [lo, hi];
  const most = Math.max(Math.abs(lo), Math.abs(hi));
  return [-most, most];
}

// Draws at native resolution, or smoothly enlarged: numbers are interpolated and then coloured, so that no
// colour appears that the table does not have.
function paintHeatmap(canvas, map, range, table, smooth) {
  const factor = smooth ? Math.max(1, Math.ceil(SMOOTH_SIDE / Math.max(map.height, map.width))) : 1;
  const { values, height, width } = factor > 1 ? enlarge(map, factor) : map;
  canvas.width = width;
  canvas.height = height;
  canvas.classList.toggle("nearest", !smooth);
  const context = canvas.getContext("2d");
  const pixels = context.createImageData(width, height);
  const [lo, hi] = range ?? [0, 1];
  const span = hi > lo ? hi - lo : 1;
  for (let i = 0; i < values.length; i++) {
    if (!Number.isFinite(values[i])) continue; // stays transparent
    const step = Math.min(255, Math.max(0, Math.round((255 * (values[i] - lo)) / span)));
    pixels.data[4 * i] = table[3 * step];
    pixels.data[4 * i + 1] = table[3 * step + 1];
    pixels.data[4 * i + 2] = table[3 * step + 2];
    pixels.data[4 * i + 3] = 255;
  }
  context.putImageData(pixels, 0, 0);
}

// Bilinear, with the centres of the cells in place (what frameworks call align_corners=False).
function enlarge(map, factor) {
  const height = map.height * factor;
  const width = map.width * factor;
  const rows = taps(map.height, factor);
  const columns = taps(map.width, factor);
  const values = new Float32Array(height * width);
  for (let y = 0; y < height; y++) {
    const [top, bottom, down] = rows[y];
    for (let x = 0; x < width; x++) {
      const [left, right, across] = columns[x];
      const upper = mix(map.values[top * map.width + left], map.values[top * map.width + right], across);
      const lower = mix(
        map.values[bottom * map.width + left],
        map.values[bottom * map.width + right],
        across,
      );
      values[y * width + x] = mix(upper, lower, down);
    }
  }
  return { values, height, width };
}

function mix(from, to, share) {
  return from + share * (to - from);
}

function taps(cells, factor) {
  return Array.from({ length: cells * factor }, (_, i) => {
    const at = Math.min(cells - 1, Math.max(0, (i + 0.5) / factor - 0.5));
    const left = Math.floor(at);
    return [left, Math.min(cells - 1, left + 1), at - left];
  });
}
