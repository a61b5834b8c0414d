// The list of samples. Only visible rows exist; they are reused as the page scrolls.

import { pushButton } from "../core/controls.js";
import { breakable, el } from "../core/dom.js";
import { columnName, kindName, usageOf } from "../core/format.js";
import { coveredHeight } from "../core/scrolling.js";
import { change, currentRun, state, watch } from "../core/state.js";
import { followDisplay, tallest } from "../drawing/frames.js";
import { allPainted } from "../drawing/painting.js";
import { linkZoom } from "../drawing/zoom.js";
import { placeKey, placesOf, placeTitle, snapshotAt } from "./adjacent.js";
import { makeRow } from "./rows.js";
import { listSamples } from "./selection.js";

const ROWS_BEYOND = 2; // above and below the visible ones
// Choices of other sections, which the list does not follow.
const ELSEWHERE = new Set(["views", "by", "smoothing", "log", "band", "hidden", "grouped", "span", "pairs", "counted", "query", "site", "used"]);
const FIRST = 8; // samples that are listed until the reader asks for all
const MOST_PRINTED = 24; // samples on paper
const MOST_ACROSS = 6; // maps next to each other in a figure; more are below
const SHARP = 3; // pixels of a drawing for each of the screen, on paper
const LONGEST = 10e3; // ms that paper waits for files
const HASTE = 1.5; // screens per frame above which nothing is painted until scrolling slows down

const RESIZING = ["size", "versus", "compare"]; // what changes the height of rows

// How much of a block is used.
function usageMark(place) {
  const usage = usageOf(place.run, place.column, snapshotAt(place));
  const words = usage?.little ? `${usage.words}: the map means little` : usage?.words;
  return usage && el("span", { class: usage.little ? "usage little" : "usage", title: words }, usage.text);
}

function drawHeads(heads, run, places, count) {
  const [some, all] = [count, run.probes.length].map((number) => number.toLocaleString("en"));
  const of = some === all ? "" : ` of ${all}`;
  const titles = places.map((place) => {
    const { column, words } = place;
    const name = el("span", { class: "head-name" }, breakable(columnName(column)));
    return el(
      "span",
      { class: "head", title: placeTitle(place) },
      name,
      el("span", { class: "kind" }, kindName(column)),
      words && el("bdi", { class: "head-whose" }, words),
      usageMark(place),
    );
  });
  heads.replaceChildren(
    el(
      "span",
      { class: "sample-head", role: "status" },
      `${some}${of} image${run.probes.length === 1 ? "" : "s"}`,
    ),
    ...titles,
  );
}

// Why the list is empty: the numbers under Classes cover whole splits, the list only a few images.
function emptyWords(run) {
  const words = "No image matches the filters at this epoch.";
  if (state.label === null && state.predicted === null) return words;
  const count = run.probes.length;
  return `${words} Only the ${count} image${count === 1 ? "" : "s"} that were recorded can be listed; the counts under Classes are of a whole split.`;
}

// Waits until all maps and images within an element are loaded and drawn.
async function settled(place) {
  const end = performance.now() + LONGEST;
  await allPainted();
  while (place.querySelector("[aria-busy=true]") && performance.now() < end) await new Promise((done) => setTimeout(done, 25));
  await allPainted();
  const pictures = [...place.querySelectorAll("img[src]:not([hidden])")];
  await Promise.all(pictures.map((picture) => picture.decode().catch(() => {})));
}

export function makeGrid(heads) {
  const space = el("div", { class: "probe-space", role: "list", "aria-label": "Samples" });
  const none = el("p", { class: "empty", hidden: true });
  const more = pushButton("", () => change({ every: !state.every }), { class: "more" });
  const grid = el("div", { class: "probes" }, space, none);
  const element = el("div", {}, grid, el("p", { class: "more-line" }, more));
  const rows = new Map(); // position -> row
  let free = [];
  let listed = []; // those with a place in the list
  let found = []; // all that the filters let through
  let places = [];
  let built = "";
  let height = 0; // of one row
  let room = 1;
  let lastTop = 0;
  let asked = false;
  let calm = null;

  function place(row, position) {
    row.element.style.transform = `translateY(${position * height}px)`;
    rows.set(position, row);
  }

  function take() {
    const row = free.pop() ?? makeRow(currentRun(), places, room);
    if (!row.element.isConnected) space.append(row.element);
    return row;
  }

  // All rows have the height of the first one: each text takes one line. Before the list is visible its rows have no
  // height, and none is set: the list is measured again once it has a width.
  function measure() {
    space.style.removeProperty("--row");
    if (!rows.size) {
      const first = take();
      first.bind(listed[0], 0, listed.length); // shows it: a row out of use is hidden
      place(first, 0);
    }
    const row = rows.values().next().value;
    row.cells.forEach((cell) => cell.tellBars()); // there may be one or two
    height = Math.ceil(row.element.getBoundingClientRect().height);
    if (!height) return [];
    space.style.setProperty("--row", `${height}px`);
    space.style.height = `${height * listed.length}px`;
    const widths = row.cells.map((cell) => [cell.frame.clientWidth, cell.frame.clientHeight]);
    for (const one of [...rows.values(), ...free]) {
      one.cells.forEach((cell, i) => (cell.size = { width: widths[i][0], height: widths[i][1] }));
    }
    for (const [position, one] of rows) one.element.style.transform = `translateY(${position * height}px)`;
    return widths;
  }
  let sizes = [];

  function inSight() {
    const top = -space.getBoundingClientRect().top;
    const first = Math.max(0, Math.floor(top / height) - ROWS_BEYOND);
    const last = Math.min(listed.length - 1, Math.floor((top + window.innerHeight) / height) + ROWS_BEYOND);
    return { top, first, last };
  }

  function update(fresh = false) {
    asked = false;
    if (!listed.length || !height) return;
    const { top, first, last } = inSight();
    const hasty = !fresh && Math.abs(top - lastTop) > HASTE * window.innerHeight;
    lastTop = top;
    for (const [position, row] of rows) {
      const away = position < first || position > last;
      if (!away || row.element.contains(document.activeElement)) continue;
      rows.delete(position);
      free.push(row);
    }
    for (let position = first; position <= last; position++) {
      const known = rows.get(position);
      const row = known ?? take();
      const before = known?.index; // an unused row may show outdated content
      row.bind(listed[position], position, listed.length);
      if (!known) {
        place(row, position);
        row.cells.forEach((cell, i) => (cell.size = { width: sizes[i][0], height: sizes[i][1] }));
      }
      if (fresh || before !== row.index || row.stale) {
        row.stale = hasty;
        if (hasty) row.tell();
        else row.draw();
      }
    }
    for (const row of free) row.release();
    clearTimeout(calm);
    if (hasty) calm = setTimeout(update, 120);
  }

  function rebuild() {
    const run = currentRun();
    places = placesOf(run);
    room = tallest(run);
    rows.clear();
    free = [];
    space.replaceChildren();
    built = signature();
  }
  const signature = () => JSON.stringify([state.run, placesOf(currentRun()).map(placeKey)]);

  function refresh(values = {}) {
    style();
    if (signature() !== built) rebuild();
    found = listSamples(currentRun());
    const next = state.every ? found : found.slice(0, FIRST);
    more.hidden = found.length <= FIRST;
    more.textContent = state.every ? `Show the first ${FIRST}` : `Show all ${found.length.toLocaleString("en")} images`;
    const same = next.length === listed.length && next.every((index, i) => index === listed[i]);
    listed = next;
    none.hidden = listed.length > 0;
    none.textContent = emptyWords(currentRun());
    space.hidden = !listed.length;
    if (!same) {
      for (const [position, row] of rows) {
        if (position < listed.length) continue;
        rows.delete(position);
        free.push(row);
      }
    }
    drawHeads(heads, currentRun(), places, found.length);
    if (!listed.length) return;
    if (!height || !rows.size || !same || RESIZING.some((name) => name in values)) sizes = measure();
    update(true);
  }

  const style = () => document.documentElement.style.setProperty("--cell", `${state.size}px`);
  const ask = () => {
    if (!asked) requestAnimationFrame(() => update());
    asked = true;
  };
  const light = new Set(["opacity", "split", "zoom", "x", "y", "box"]); // these need no painting
  watch((values) => {
    if (Object.keys(values).every((name) => light.has(name))) return;
    if (Object.keys(values).every((name) => ELSEWHERE.has(name))) return;
    if (Object.keys(values).every((name) => ["sample", "selected", "notes", "large", "whose"].includes(name))) {
      if (state.flag || state.where) refresh();
      else for (const row of rows.values()) row.tell();
    } else refresh(values);
  });
  grid.addEventListener("scroll", () => (heads.scrollLeft = grid.scrollLeft), { passive: true });
  window.addEventListener("scroll", ask, { passive: true });
  new ResizeObserver(ask).observe(document.body); // what lies above the list may grow without a scroll
  let width = 0;
  new ResizeObserver(() => {
    if (grid.clientWidth === width || !listed.length) return;
    width = grid.clientWidth;
    sizes = measure();
    update(true);
  }).observe(grid);
  refresh();
  linkZoom(grid);
  followDisplay(grid);

  // Rows of the first listed samples, or of those that are selected, all in the document and painted: for paper.
  async function spread() {
    const wanted = (state.selected.length ? found.filter((index) => state.selected.includes(index)) : found).slice(0, MOST_PRINTED);
    const printed = wanted.map((index, position) => {
      const row = makeRow(currentRun(), places, room);
      row.bind(index, position, wanted.length);
      return row;
    });
    const place = el("div", { class: "printed" }, printed.map((row) => row.element));
    const across = Math.ceil(places.length / Math.max(1, Math.ceil(places.length / MOST_ACROSS)));
    place.style.setProperty("--across", across + 1);
    for (const row of printed) row.cells.forEach((cell, i) => (cell.element.style.gridColumn = 2 + (i % across)));
    const left = found.length - wanted.length;
    if (left > 0) place.append(el("p", { class: "muted" }, `${wanted.length} of ${found.length} images`));
    grid.append(place);
    for (const row of printed) {
      row.cells.forEach(({ frame: { clientWidth, clientHeight } }, i) => {
        const [width, height] = clientWidth ? [clientWidth, clientHeight] : sizes[i]; // no width: only paper shows it
        row.cells[i].size = { width: SHARP * width, height: SHARP * height };
      });
      row.draw();
    }
    await settled(place);
    return () => place.remove();
  }

  // Moves to another sample of the list and shows it.
  function step(by) {
    if (!listed.length) return;
    const now = listed.indexOf(state.sample);
    const { first } = inSight();
    if (now + by >= listed.length && listed.length < found.length) change({ every: true });
    const next = now < 0 ? Math.min(listed.length - 1, first + (first ? ROWS_BEYOND : 0)) : now + by;
    const position = Math.min(listed.length - 1, Math.max(0, next));
    change({ sample: listed[position] });
    const above = coveredHeight() + 8;
    const top = space.getBoundingClientRect().top + position * height;
    if (top < above || top + height > window.innerHeight) window.scrollBy(0, top - above);
    update();
    rows.get(position)?.element.focus({ preventScroll: true });
  }
  return { element, frame: grid, spread, step, listed: () => found, rows: () => [...rows.values()] };
}
