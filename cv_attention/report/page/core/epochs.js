// The epochs of a run.

// The epochs in which maps, or texts that were read, were recorded.
export function recordedEpochs(run) {
  const texts = Object.keys(run.panels?.reading ?? {}).map(Number);
  return [...new Set([...run.epochs.map((snapshot) => snapshot.epoch), ...texts])];
}

// All epochs that the slider visits: those with curves and those with maps.
export function epochRange(run) {
  const known = recordedEpochs(run);
  for (const points of Object.values(run.series)) {
    for (const point of [points[0], points[points.length - 1]])
      known.push(Math.max(0, Math.ceil(point[0]) - 1));
  }
  if (!known.length) return null;
  return [Math.min(...known), Math.max(...known)];
}

// The logged epoch nearest to this one; if a column is given, the nearest in which it was logged.
export function nearestSnapshot(run, epoch, column = null) {
  let best = null;
  for (const snapshot of run.epochs) {
    if (column && !snapshot.maps[column.index]) continue;
    if (!best || Math.abs(snapshot.epoch - epoch) < Math.abs(best.epoch - epoch)) best = snapshot;
  }
  return best;
}
