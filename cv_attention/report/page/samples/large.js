// The large view: one image and one of its maps side by side as large as the window allows, the other maps beneath.
// It follows the address, so that it can be shared; keys walk through images, maps and epochs.

import { pushButton } from "../core/controls.js";
import { el } from "../core/dom.js";
import { epochRange, nearestSnapshot } from "../core/epochs.js";
import { epochName, isolated, kindName } from "../core/format.js";
import { change, currentRun, limitFields, state, watch } from "../core/state.js";
import { followDisplay, makeFrame, tallest } from "../drawing/frames.js";
import { enqueue } from "../drawing/painting.js";
import { linkPointer } from "../drawing/readout.js";
import { linkZoom, setZoom } from "../drawing/zoom.js";
import { placeKey, placeName, placesOf, sampleAt, snapshotAt } from "./adjacent.js";
import { makeCell } from "./cells.js";
import { sampleName, tellTitle } from "./names.js";
import { listSamples } from "./selection.js";
import { tellVerdict } from "./verdict.js";

const HINT = "← → image, ↑ ↓ map, , . epoch, + − 0 zoom; two fingers or Ctrl and the wheel zoom, dragging pans";

limitFields(["large"], (run) => {
  if (state.large === null) return true;
  return state.sample !== null && Boolean(state.whose || run.columns[state.large]);
});

// The places that are shown, and the one that is large, which may be of a column that is hidden in the list.
function placesShown(run) {
  const places = placesOf(run);
  const wanted = `${state.whose}/${state.large}`;
  const known = places.find((place) => placeKey(place) === wanted);
  if (known) return { places, large: known };
  const hidden = { whose: "", run, epoch: null, words: "", column: run.columns[state.large] };
  return { places: [...places, hidden], large: hidden };
}

function walk(by) {
  const listed = listSamples(currentRun());
  const now = listed.indexOf(state.sample);
  const next = now < 0 ? 0 : (now + by + listed.length) % listed.length;
  if (listed.length) change({ sample: listed[next] });
}

function walkColumns(by) {
  const { places, large } = placesShown(currentRun());
  const next = places[(places.indexOf(large) + by + places.length) % places.length];
  change({ large: next.column.index, whose: next.whose });
}

function walkEpochs(by) {
  const [first, last] = epochRange(currentRun()) ?? [0, 0];
  change({ epoch: Math.min(last, Math.max(first, state.epoch + by)) });
}

const KEYS = {
  ArrowLeft: () => walk(-1),
  ArrowRight: () => walk(1),
  k: () => walk(-1),
  j: () => walk(1),
  ArrowUp: () => walkColumns(-1),
  ArrowDown: () => walkColumns(1),
  ",": () => walkEpochs(-1),
  ".": () => walkEpochs(1),
  "+": () => setZoom(state.zoom * 1.25),
  "=": () => setZoom(state.zoom * 1.25),
  "-": () => setZoom(state.zoom / 1.25),
  0: () => setZoom(1),
};

// The frames of one run and choice of columns; the chosen place's cell is the large one.
function makeStage(run) {
  const room = tallest(run);
  const { places } = placesShown(run);
  const picture = makeFrame(run, room);
  const cells = places.map((place) => makeCell(run, place, room));
  const big = el("div", { class: "large-map" });
  const strip = el("div", { class: "large-strip" });
  const photograph = el("figure", { class: "large-photograph" }, picture.slot);
  const element = el("div", { class: "large-stage" }, el("div", { class: "large-pair" }, photograph, big), strip);
  element.style.setProperty("--room", room);
  linkPointer(element, picture.frame, cells);
  function show(sample) {
    picture.bind(sample);
    const { large } = placesShown(run);
    const chosen = cells[places.findIndex((place) => placeKey(place) === placeKey(large))];
    big.replaceChildren(chosen.element);
    strip.replaceChildren(...cells.filter((cell) => cell !== chosen).map((cell) => cell.element));
    for (const cell of cells) {
      cell.bind(sample);
      cell.size = { width: cell.frame.clientWidth, height: cell.frame.clientHeight };
      enqueue(cell);
    }
  }
  return { element, show, signature: signatureOf(run) };
}

function signatureOf(run) {
  return JSON.stringify([run.folder, placesShown(run).places.map(placeKey)]);
}

function makeHead() {
  const title = el("h2", { id: "large-title", class: "two-lines" });
  const verdict = el("p", { class: "verdict" });
  const where = el("p", { class: "muted" });
  const buttons = el(
    "p",
    { class: "buttons" },
    pushButton("‹", () => walk(-1), { "aria-label": "Previous image" }),
    pushButton("›", () => walk(1), { "aria-label": "Next image" }),
    pushButton("Whole image", () => setZoom(1), { class: "quiet" }),
    pushButton("Close", () => change({ large: null })),
  );
  function tell(run) {
    const { large } = placesShown(run);
    const there = sampleAt(large, run, state.sample);
    const snapshot = large.whose ? snapshotAt(large) : nearestSnapshot(run, state.epoch);
    tellTitle(title, run, state.sample);
    tellVerdict(verdict, large.run, there === null ? null : snapshot, there ?? 0);
    const epoch = large.run.export || !snapshot || large.epoch !== null ? "" : epochName(snapshot.epoch);
    const parts = [isolated(sampleName(run, state.sample)), epoch, placeName(large), kindName(large.column)];
    where.textContent = parts.filter(Boolean).join(" · ");
  }
  const words = el("div", { class: "large-words" }, title, verdict, where);
  return { element: el("div", { class: "large-head" }, words, buttons), tell };
}

// The dialog, which opens where `large` is a column.
export function makeLarge() {
  const head = makeHead();
  const place = el("div", {});
  const hint = el("p", { class: "muted hint" }, HINT);
  const dialog = el("dialog", { class: "large", "aria-labelledby": "large-title" }, head.element, place, hint);
  let stage = null;
  linkZoom(dialog);
  followDisplay(dialog);

  function show() {
    const run = currentRun();
    const wanted = state.large !== null && state.sample !== null;
    if (!wanted) return dialog.open && dialog.close();
    if (!dialog.open) dialog.showModal();
    dialog.classList.toggle("swiping", Boolean(state.versus) && state.compare === "swipe");
    if (stage?.signature !== signatureOf(run)) stage = makeStage(run);
    if (stage.element.parentElement !== place) place.replaceChildren(stage.element);
    head.tell(run);
    stage.show(state.sample);
  }
  const light = new Set(["opacity", "split", "zoom", "x", "y", "box"]); // these need no painting
  watch((values) => {
    if (dialog.open || "large" in values) if (!Object.keys(values).every((name) => light.has(name))) show();
  });
  dialog.addEventListener("close", () => state.large !== null && change({ large: null }));
  dialog.addEventListener("keydown", (event) => {
    const action = event.altKey || event.ctrlKey || event.metaKey ? null : KEYS[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });
  return { element: dialog, show };
}
