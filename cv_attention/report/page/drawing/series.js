// Curves as numbers: smoothed, over another axis, averaged over runs. A point is [x, epochs trained, step, value].

// Exponential moving averages with their bias corrected, as TensorBoard smooths.
export function smoothed(points, weight) {
  if (!weight) return points;
  let mean = 0;
  return points.map(([x, epoch, step, value], i) => {
    mean = weight * mean + (1 - weight) * value;
    return [x, epoch, step, mean / (1 - weight ** (i + 1))];
  });
}

// The value at x on straight lines between the points; null outside of them.
export function interpolated(points, x) {
  const last = points.length - 1;
  if (last < 0 || x < points[0][0] || x > points[last][0]) return null;
  let low = 0;
  let high = last;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (points[middle][0] <= x) low = middle;
    else high = middle;
  }
  const [a, b] = [points[low], points[high]];
  return b[0] === a[0] ? a[3] : a[3] + ((x - a[0]) / (b[0] - a[0])) * (b[3] - a[3]);
}

// The mean of several curves where all of them have values, at the points of the first, and the band of one standard
// deviation (of the sample) around it: {points, band: [[x, low, high]]}.
export function meanCurve(curves) {
  const points = [];
  const band = [];
  for (const [x, epoch, step] of curves[0]) {
    const values = curves.map((curve) => interpolated(curve, x));
    if (values.includes(null)) continue;
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
    const deviation = values.length > 1 ? Math.sqrt(squares / (values.length - 1)) : 0;
    points.push([x, epoch, step, mean]);
    band.push([x, mean - deviation, mean + deviation]);
  }
  return { points, band };
}

// What names of runs have in common at their beginning, without the seed's number.
export function commonName(names) {
  let length = 0;
  while (names[0][length] !== undefined && names.every((name) => name[length] === names[0][length])) length++;
  return names[0].slice(0, length).replace(/[-_. ]*(seed)?[-_. ]*\d*$/i, "") || names[0];
}

// The part of a line within [low, high], with values on straight lines at both ends; its band only where it has points.
export function partWithin(line, [low, high]) {
  const ends = [low, high].map((x) => [x, interpolated(line.points, x)]).filter(([, value]) => value !== null);
  const near = (x) => line.points.reduce((best, point) => (Math.abs(point[0] - x) < Math.abs(best[0] - x) ? point : best));
  const cut = ends.map(([x, value]) => [x, near(x)[1], near(x)[2], value]);
  const inside = line.points.filter(([x]) => x > low && x < high);
  const points = [...cut, ...inside].sort((a, b) => a[0] - b[0]);
  return { ...line, points, band: line.band?.filter(([x]) => x >= low && x <= high) };
}
