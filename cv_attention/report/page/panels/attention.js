// The attention panel: one block's map of one image in full: gates, positions through the epochs, heads, and
// what each position attends to.

FIELDS.query = anIndex();
state.query = null;

const ROLLOUT = "rollout";

function panelFigure(caption, ...content) {
  return el("figure", { class: "panel-figure" }, el("figcaption", {}, caption), content);
}

function attentionColumns(run) {
  return run.columns.filter((column) => column.source === "attention");
}

function hasRollout(run) {
  return attentionColumns(run).filter((column) => ["pairwise", "alignment"].includes(column.kind)).length > 1;
}

function siteChoices(run) {
  const choices = Object.fromEntries(
    attentionColumns(run).map((column) => [column.title, `${columnName(column)} · ${column.kind}`]),
  );
  return hasRollout(run) ? { ...choices, [ROLLOUT]: "rollout · all layers" } : choices;
}

function chosenSite(run) {
  const titles = Object.keys(siteChoices(run));
  return titles.includes(state.site) ? state.site : titles[titles.length - 1];
}

// A picture with a map over it, at the panel's size; it calls `onpick` with the position under a click.
function overlaid(run, sample, map, range, label, onpick = null) {
  const picture = el("img", { alt: "", draggable: "false" });
  const canvas = el("canvas", { role: "img", class: "map", "aria-label": label });
  const [width, height] = run.probes[sample].size ?? [map.width, map.height];
  const frame = el("div", { class: "overlaid" }, picture, canvas);
  frame.style.aspectRatio = `${width} / ${height}`;
  loadPicture(run, sample).then((url) => (url ? (picture.src = url) : picture.remove()));
  const { smooth, threshold, contour } = state;
  paintHeatmap(canvas, map, range, colourTable(state.colours), { smooth, threshold, contour, signed: false });
  canvas.style.opacity = state.opacity;
  const place = (event) => {
    const edge = frame.getBoundingClientRect();
    const cell = (share, count) => Math.min(count - 1, Math.max(0, Math.floor(share * count)));
    const y = cell((event.clientY - edge.top) / edge.height, map.height);
    return [y, cell((event.clientX - edge.left) / edge.width, map.width)];
  };
  frame.addEventListener("pointermove", (event) => {
    const [y, x] = place(event);
    const where = `row ${y}, column ${x} of ${map.height} × ${map.width}`;
    showReadout(event, `${formatValue(map.values[y * map.width + x])} · ${where}`);
  });
  frame.addEventListener("pointerleave", hideReadout);
  if (onpick) {
    frame.classList.add("pickable");
    frame.addEventListener("click", (event) => onpick(...place(event)));
  }
  return frame;
}

// The same map in all recorded epochs; a click selects the epoch.
async function drawFilm(run, column, sample) {
  const snapshots = run.epochs.filter((snapshot) => snapshot.maps[column.index]);
  const now = nearestSnapshot(run, state.epoch, column);
  const frames = await Promise.all(
    snapshots.map(async (snapshot) => {
      const map = await loadMap(snapshot, column, sample);
      if (!map) return null;
      const label = `${columnName(column)}, ${epochName(snapshot.epoch)}`;
      const frame = overlaid(run, sample, map, valueRange(run, snapshot, column, map), label);
      const go = () => change({ epoch: snapshot.epoch });
      return el(
        "button",
        { type: "button", class: "film-frame", "aria-pressed": String(snapshot === now), onclick: go },
        frame,
        el("span", {}, epochName(snapshot.epoch)),
      );
    }),
  );
  return el("div", { class: "film" }, frames);
}

async function drawPositions(run, column, sample) {
  const snapshot = nearestSnapshot(run, state.epoch, column);
  const map = snapshot && (await loadMap(snapshot, column, sample));
  if (!map) return { figures: [el("p", { class: "muted" }, "Not logged.")] };
  const range = valueRange(run, snapshot, column, map);
  const large = overlaid(run, sample, map, range, `${columnName(column)}, this image`);
  const [size, ends] = [`${map.height} × ${map.width}`, `${formatValue(map.lo)} to ${formatValue(map.hi)}`];
  const figures = [panelFigure(inWords(snapshotName(snapshot), size, ends), large)];
  if (run.epochs.length > 1) figures.push(panelFigure("Through the epochs", await drawFilm(run, column, sample)));
  return { figures };
}

function headGrid(run, sample, maps, label) {
  const frames = maps.map((map, i) => {
    const name = maps.length > 1 ? `head ${i + 1}` : "all heads";
    const frame = overlaid(run, sample, map, finiteRange(map.values), `${label}, ${name}`);
    return el("figure", { class: "head-map" }, frame, el("figcaption", {}, name));
  });
  return el("div", { class: "head-grid" }, frames);
}

// A click or the arrow keys choose the position whose attention is shown.
function queryPicker(run, sample, all) {
  const query = Math.min(state.query ?? Math.floor(all.queries / 2 + all.width / 2), all.queries - 1);
  const grid = all.queries === all.height * all.width;
  const values = new Float32Array(all.height * all.width).fill(NaN);
  if (grid) values[query] = 1;
  const map = { values, height: all.height, width: all.width };
  const pick = (y, x) => change({ query: y * all.width + x });
  const frame = overlaid(run, sample, map, [0, 1], "Choose a position", grid ? pick : null);
  const mark = el("span", { class: "query-mark" });
  const [y, x] = [Math.floor(query / all.width), query % all.width];
  const [down, across] = [100 / all.height, 100 / all.width];
  Object.assign(mark.style, { left: `${x * across}%`, top: `${y * down}%`, width: `${across}%`, height: `${down}%` });
  if (grid) frame.append(mark);
  const step = el("input", {
    type: "range",
    min: 0,
    max: all.queries - 1,
    value: query,
    name: "query",
    "aria-label": "Position whose attention is shown",
    oninput: (event) => change({ query: Number(event.target.value) }),
  });
  return { query, element: el("div", { class: "query" }, frame, step) };
}

async function drawSelfAttention(run, title, sample) {
  const heads = await loadPanel(run, "heads", headCache);
  const pairs = await loadPanel(run, "pairwise", headCache);
  const figures = [];
  const all = heads?.found[title];
  if (all) {
    const words = `What each head attends to, ${epochName(heads.epoch)}`;
    figures.push(panelFigure(words, headGrid(run, sample, headMaps(all, sample), words)));
  }
  const pairwise = pairs?.found[title];
  if (pairwise && sample < pairwise.images) {
    const { query, element } = queryPicker(run, sample, pairwise);
    const words = `What position ${query} attends to, ${epochName(pairs.epoch)}`;
    const looks = headGrid(run, sample, queryMaps(pairwise, sample, query), words);
    looks.classList.add("looks");
    figures.unshift(panelFigure("Choose a position", element), panelFigure(words, looks));
  } else if (pairwise) {
    const words = `What positions attend to is recorded only for the first ${pairwise.images} images.`;
    figures.push(el("p", { class: "muted" }, words));
  }
  return { figures };
}

async function drawAttention(run, title, sample) {
  const column = run.columns.find((one) => one.title === title);
  const pairs = column && ["pairwise", "alignment"].includes(column.kind) && Object.keys(run.panels?.heads ?? {}).length;
  if (!column || pairs) {
    const drawn = await drawSelfAttention(run, title, sample);
    if (drawn.figures.length || !column) return drawn;
  }
  return column.bars ? drawGates(run, column, sample) : drawPositions(run, column, sample);
}

// Steps through the samples; the grid's chosen sample is the same one.
function sampleStepper() {
  const shown = el("output");
  const step = (by) => {
    const count = currentRun().probes.length;
    change({ sample: ((state.sample ?? 0) + by + count) % count });
  };
  const show = () => {
    const run = currentRun();
    const at = state.sample ?? 0;
    if (run.probes[at]) shown.textContent = `${at + 1} of ${run.probes.length}: ${sampleTitle(run, at)}`;
  };
  watch(show);
  show();
  const before = pushButton("‹", () => step(-1), { "aria-label": "Previous image" });
  const after = pushButton("›", () => step(1), { "aria-label": "Next image" });
  return el("div", { class: "stepper", role: "group", "aria-label": "Image" }, before, shown, after);
}

const ATTENTION_STATE = ["run", "epoch", "site", "sample", "query", "colours", "smooth", "opacity", "scale", "theme"];

function makeAttention() {
  const body = el("div", { class: "attention-body" });
  const site = select("site", "Map", siteChoices);
  const tools = el("div", { class: "panel-tools" }, site, sampleStepper());
  const section = el("section", { "aria-labelledby": "attention" }, el("h2", { id: "attention" }, "Attention"), tools, body);
  let turn = 0;
  async function draw() {
    const run = currentRun();
    section.hidden = !attentionColumns(run).length || !run.probes.length;
    if (section.hidden) return;
    const now = ++turn;
    const title = chosenSite(run);
    site.querySelector("select").value = title;
    body.setAttribute("aria-busy", "true");
    const focused = document.activeElement?.name === "query";
    const drawn = await drawAttention(run, title, state.sample ?? 0).catch(() => null);
    if (now !== turn) return;
    body.removeAttribute("aria-busy");
    body.replaceChildren(...(drawn?.figures ?? [el("p", { class: "muted" }, "The maps could not be read.")]));
    drawn?.paint?.();
    if (focused) body.querySelector("input[name=query]")?.focus();
  }
  watch((values) => {
    if (ATTENTION_STATE.some((name) => name in values)) draw();
  });
  queueMicrotask(draw);
  return section;
}
