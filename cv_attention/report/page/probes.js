// The probe images, one row each: the image with label and prediction, then its maps side by side.

const ROWS_AT_ONCE = 48;

function makeRow(run, index, columns) {
  const probe = run.probes[index];
  const cells = columns.map((column) => makeCell(run, index, column));
  const verdict = el("p", { class: "verdict" });
  const top = el("ol", { class: "top-classes" });
  const past = run.epochs.length > 1 && probe.label !== null ? drawHistory(run, index) : null;
  const picture = makeFrame(run, index);
  const name = el("h3", {}, el("span", { class: "muted" }, `${index + 1} `), className(run, probe.label));
  const sample = el(
    "div",
    { class: "sample" },
    picture,
    el("div", { class: "about" }, name, verdict, top, past),
  );
  const label = `Image ${index + 1}, ${className(run, probe.label)}`;
  const maps = el(
    "div",
    { class: "cells" },
    cells.map((cell) => cell.element),
  );
  const element = el("article", { class: "probe", "aria-label": label }, sample, maps);
  linkPointer(element, picture, cells);
  let dirty = true;
  let visible = false;

  async function draw() {
    dirty = !visible;
    if (dirty) return;
    const snapshot = nearestSnapshot(run, state.epoch);
    tellVerdict(verdict, run, snapshot, index);
    if (past) markHistory(past, snapshot?.epoch);
    for (const cell of cells) cell.draw(snapshot);
    const best = snapshot ? await topClasses(snapshot, index).catch(() => []) : [];
    if (snapshot === nearestSnapshot(run, state.epoch)) drawTop(top, run, best, probe.label);
  }
  const see = (now) => {
    visible = now;
    if (visible && dirty) draw();
  };
  return { element, draw, see };
}

function chosenProbes(run) {
  const snapshot = nearestSnapshot(run, state.epoch);
  const all = run.probes.map((_, index) => index);
  if (state.show === "all" || !snapshot) return all;
  const right = (index) => snapshot.predictions[index] === run.probes[index].label;
  return all.filter((index) => right(index) === (state.show === "correct"));
}

function drawHeads(heads, columns, count) {
  const titles = columns.map((column) => {
    const name = el("span", { class: "head-name" }, breakable(columnName(column)));
    return el(
      "span",
      { class: "head", title: column.title },
      name,
      el("span", { class: "kind" }, kindName(column)),
    );
  });
  heads.replaceChildren(
    el("span", { class: "sample-head" }, `${count} image${count === 1 ? "" : "s"}`),
    ...titles,
  );
}

// Rows are drawn when they come into sight.
function makeProbes(heads) {
  const grid = el("div", { class: "probes" });
  const more = el("button", {
    type: "button",
    class: "more",
    onclick: () => build(rows.length + ROWS_AT_ONCE),
  });
  const redrawn = ["epoch", "colours", "scale", "smooth", "size", "theme"];
  let rows = [];
  let built = "";
  const inSight = (entries) => {
    for (const entry of entries) rows.find((row) => row.element === entry.target)?.see(entry.isIntersecting);
  };
  const watcher = new IntersectionObserver(inSight, { rootMargin: "400px" });
  const signature = () => JSON.stringify([state.run, chosenProbes(currentRun()), shownColumns(currentRun())]);

  function build(limit = ROWS_AT_ONCE) {
    const run = currentRun();
    const chosen = chosenProbes(run);
    const columns = shownColumns(run);
    watcher.disconnect();
    rows = chosen.slice(0, limit).map((index) => makeRow(run, index, columns));
    const none = el(
      "p",
      { class: "empty" },
      `No ${state.show === "all" ? "" : `${state.show} `}image at this epoch.`,
    );
    grid.replaceChildren(...(rows.length ? rows.map((row) => row.element) : [none]));
    more.hidden = chosen.length <= limit;
    more.textContent = `Show ${Math.min(ROWS_AT_ONCE, chosen.length - limit)} more of ${chosen.length}`;
    for (const row of rows) watcher.observe(row.element);
    drawHeads(heads, columns, chosen.length);
    built = signature();
  }
  const style = () => {
    grid.style.setProperty("--opacity", state.opacity);
    document.documentElement.style.setProperty("--cell", `${state.size}px`);
    grid.classList.toggle("without-boxes", !state.box);
  };
  watch((values) => {
    style();
    if (signature() !== built) build(Math.max(rows.length, ROWS_AT_ONCE));
    else if (redrawn.some((name) => name in values)) for (const row of rows) row.draw();
  });
  grid.addEventListener("scroll", () => (heads.scrollLeft = grid.scrollLeft), { passive: true });
  style();
  build();
  return [grid, more];
}
