// Exports the selected samples, or all listed ones, as a table for other programs.

// Prefixes text that a spreadsheet would interpret as a formula with an apostrophe.
function csvCell(value) {
  if (value === null || value === undefined) return "";
  const text = typeof value === "number" ? String(value) : String(value).replace(/^[=+\-@\t\r]/, "'$&");
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

async function selectionAsCsv(listed) {
  const run = currentRun();
  const snapshot = nearestSnapshot(run, state.epoch);
  const measures = snapshot ? await loadMeasures(snapshot).catch(() => ({})) : {};
  const columns = shownColumns(run).flatMap((column) =>
    Object.entries(measures[column.index] ?? {}).map(([name, values]) => ({
      name: `${columnName(column)}: ${name}`,
      values,
    })),
  );
  const head = [
    "run",
    "epoch",
    "sample",
    "file",
    "true class",
    "predicted class",
    "right",
    "confidence",
    "loss",
    "flags",
    "tags",
    "note",
  ];
  const rows = listed.map((i) => {
    const note = noteOf(run, i);
    const known = (values) => values?.[i] ?? null;
    return [
      run.name,
      snapshot && !run.export ? snapshot.epoch + 1 : null,
      i + 1,
      fileName(run, i),
      className(run, run.probes[i].label),
      className(run, known(snapshot?.predictions)),
      snapshot ? isRight(run, snapshot, i) : null,
      known(snapshot?.confidence),
      known(snapshot?.losses),
      flagsOf(run, snapshot, i).join("; "),
      note?.tags.join("; "),
      note?.note,
      ...columns.map((column) => known(column.values)),
    ];
  });
  const lines = [[...head, ...columns.map((column) => column.name)], ...rows];
  return `${lines.map((row) => row.map(csvCell).join(",")).join("\r\n")}\r\n`;
}

function download(name, blob) {
  const url = URL.createObjectURL(blob);
  const link = el("a", { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}
