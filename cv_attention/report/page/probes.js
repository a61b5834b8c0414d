// The probe images, one row each: the image with label and prediction, then its maps side by side.

const ROWS_AT_ONCE = 48;

function makeRow(run, index, columns) {
  const probe = run.probes[index];
  const cells = columns.map((column) => makeCell(run, index, column));
  const verdict = el("p", { class: "verdict" });
  const top = el("ol", { class: "top-classes" });
  const past = run.epochs.length > 1 && probe.label !== null ? drawHistory(run, index) : null;
  const picture = makeFrame(probe);
  const element = el(
    "article",
    { class: "probe", "aria-label": `Image ${index + 1}, ${className(run, probe.label)}` },
    el(
      "div",
      { class: "sample" },
      picture,
      el(
        "div",
        { class: "about" },
        el("h3", {}, el("span", { class: "muted" }, `${index + 1} `), className(run, probe.label)),
        verdict,
        top,
        past,
      ),
    ),
    el(
      "div",
      { class: "cells" },
      cells.map((cell) => cell.element),
    ),
  );
  linkPointer(element, picture, cells);
  let dirty = true;
  let visible = false;

  async function draw() {
    dirty = true;
    if (!visible) return;
    dirty = false;
    const snapshot = nearestSnapshot(run, state.epoch);
    tellVerdict(verdict, run, snapshot, index);
    if (past) markHistory(past, snapshot?.epoch);
    if (snapshot) {
      const best = await topClasses(snapshot, index).catch(() => []);
      if (snapshot === nearestSnapshot(run, state.epoch)) drawTop(top, run, best, probe.label);
    }
    await Promise.all(
      cells.map((cell) => cell.draw(snapshot).catch(() => cell.element.classList.add("absent"))),
    );
  }
  return {
    element,
    draw,
    see(now) {
      visible = now;
      if (visible && dirty) draw();
    },
  };
}

function tellVerdict(element, run, snapshot, index) {
  const predicted = snapshot?.predictions[index];
  if (predicted === null || predicted === undefined) {
    element.replaceChildren("no prediction");
    return;
  }
  const label = run.probes[index].label;
  const right = predicted === label;
  element.className = `verdict ${label === null ? "" : right ? "right" : "wrong"}`;
  element.replaceChildren(
    el(
      "span",
      { class: "mark", "aria-label": right ? "correct" : "wrong" },
      label === null ? "" : right ? "✓" : "✗",
    ),
    el("span", {}, className(run, predicted)),
    el("span", { class: "number" }, formatPercent(snapshot.confidence[index])),
  );
}

function drawTop(list, run, best, label) {
  list.replaceChildren(
    ...best.slice(0, 3).map(([index, p]) => {
      const bar = el("span", { class: "p-bar" });
      bar.style.width = `${100 * p}%`;
      return el(
        "li",
        { class: index === label ? "true-class" : null },
        bar,
        el("span", { class: "p-name" }, className(run, index)),
        el("span", { class: "number" }, formatPercent(p)),
      );
    }),
  );
}

// The pointer's place on one map is shown on all maps of the image.
function linkPointer(element, picture, cells) {
  const frames = [picture, ...cells.filter((cell) => !cell.bars).map((cell) => cell.frame)];
  const point = (event, frame) => {
    const edge = frame.getBoundingClientRect();
    element.style.setProperty("--x", `${(100 * (event.clientX - edge.left)) / edge.width}%`);
    element.style.setProperty("--y", `${(100 * (event.clientY - edge.top)) / edge.height}%`);
    element.classList.add("pointing");
  };
  for (const frame of frames) {
    frame.append(el("span", { class: "crosshair" }));
    frame.addEventListener("pointermove", (event) => point(event, frame));
    frame.addEventListener("pointerleave", () => element.classList.remove("pointing"));
  }
  for (const cell of cells) {
    cell.frame.addEventListener("pointermove", (event) => {
      const text = cell.read(event);
      if (text) showReadout(event, text);
      else hideReadout();
    });
    cell.frame.addEventListener("pointerleave", hideReadout);
  }
}

function chosenProbes(run) {
  const snapshot = nearestSnapshot(run, state.epoch);
  const all = run.probes.map((_, index) => index);
  if (state.show === "all" || !snapshot) return all;
  return all.filter(
    (index) => (snapshot.predictions[index] === run.probes[index].label) === (state.show === "correct"),
  );
}

function makeProbes(heads) {
  const grid = el("div", { class: "probes" });
  const more = el("button", {
    type: "button",
    class: "more",
    onclick: () => build(rows.length + ROWS_AT_ONCE),
  });
  let rows = [];
  let built = "";
  const watcher = new IntersectionObserver(
    (entries) => {
      for (const entry of entries)
        rows.find((row) => row.element === entry.target)?.see(entry.isIntersecting);
    },
    { rootMargin: "400px" },
  );

  function build(limit = ROWS_AT_ONCE) {
    const run = currentRun();
    const chosen = chosenProbes(run);
    const columns = shownColumns(run);
    watcher.disconnect();
    rows = chosen.slice(0, limit).map((index) => makeRow(run, index, columns));
    grid.replaceChildren(...rows.map((row) => row.element));
    if (!rows.length)
      grid.append(
        el("p", { class: "empty" }, `No ${state.show === "all" ? "" : `${state.show} `}image at this epoch.`),
      );
    more.hidden = chosen.length <= limit;
    more.textContent = `Show ${Math.min(ROWS_AT_ONCE, chosen.length - limit)} more of ${chosen.length}`;
    for (const row of rows) watcher.observe(row.element);
    heads.replaceChildren(
      el("span", { class: "sample-head" }, `${chosen.length} image${chosen.length === 1 ? "" : "s"}`),
      ...columns.map((column) =>
        el(
          "span",
          { class: "head", title: column.title },
          el("span", { class: "head-name" }, breakable(columnName(column))),
          el("span", { class: "kind" }, kindName(column)),
        ),
      ),
    );
    built = signature(run, chosen);
  }
  const signature = (run, chosen) =>
    JSON.stringify([state.run, chosen, shownColumns(run).map((column) => column.index)]);
  const style = () => {
    grid.style.setProperty("--opacity", state.opacity);
    document.documentElement.style.setProperty("--cell", `${state.size}px`);
    grid.classList.toggle("without-boxes", !state.box);
  };
  watch((values) => {
    style();
    const run = currentRun();
    if (signature(run, chosenProbes(run)) !== built) build(Math.max(rows.length, ROWS_AT_ONCE));
    else if (
      Object.keys(values).some((name) =>
        ["epoch", "colours", "scale", "smooth", "size", "theme"].includes(name),
      )
    ) {
      for (const row of rows) row.draw();
    }
  });
  grid.addEventListener("scroll", () => (heads.scrollLeft = grid.scrollLeft), { passive: true });
  style();
  build();
  return [grid, more];
}
