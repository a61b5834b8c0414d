// One sample in the list: its picture with label and prediction, then its maps side by side. A row is reused
// for another sample when it scrolls out of view.

import { el } from "../core/dom.js";
import { nearestSnapshot } from "../core/epochs.js";
import { isolated } from "../core/format.js";
import { report } from "../core/report.js";
import { topClasses } from "../core/shards.js";
import { change, currentRun, state } from "../core/state.js";
import { makeFrame } from "../drawing/frames.js";
import { enqueue } from "../drawing/painting.js";
import { linkPointer } from "../drawing/readout.js";
import { placesOf } from "./adjacent.js";
import { makeCell } from "./cells.js";
import { flagsOf } from "./flags.js";
import { makeHistory } from "./history.js";
import { fileName, sampleName, sampleTitle, tellTitle } from "./names.js";
import { editNote, noteOf } from "./notes.js";
import { twinsOf } from "./twins.js";
import { drawTop, tellTwins, tellVerdict, twinLines } from "./verdict.js";

function makeSampleHead(run, room) {
  const picture = makeFrame(run, room);
  const parts = {
    picture,
    box: el("input", { type: "checkbox", class: "pick" }),
    number: el("span", { class: "number muted" }),
    file: el("bdi"),
    note: el("button", { type: "button", class: "note-button" }, "✎"),
    label: el("h3"),
    verdict: el("p", { class: "verdict" }),
    top: el("ol", { class: "top-classes", hidden: !run.epochs.some((one) => one.top.length) }),
    twins: report.runs.length > 1 ? el("ul", { class: "twins", "aria-label": "Other runs" }) : null,
    past: run.epochs.length > 1 ? makeHistory(run) : null,
    flags: el("p", { class: "flags" }),
  };
  if (parts.twins) parts.twins.style.height = `${19 * twinLines(report.runs.length)}px`;
  const line = el(
    "div",
    { class: "sample-line" },
    el("label", { class: "pick-label" }, parts.box, parts.number),
    el("span", { class: "file" }, parts.file),
    parts.note,
  );
  const about = el(
    "div",
    { class: "about" },
    line,
    parts.label,
    parts.verdict,
    parts.top,
    parts.twins,
    parts.past?.element,
  );
  const shown = el("div", { class: "shown-picture" }, picture.slot, parts.flags);
  return { ...parts, element: el("div", { class: "sample" }, shown, about) };
}

// Adds a sample to the reader's selection, or removes it.
export function pickSample(index, wanted) {
  const rest = state.selected.filter((other) => other !== index);
  change({ selected: wanted ? [...rest, index].sort((a, b) => a - b) : rest });
}

// Opens the large view of a sample, with the first of the maps that are shown.
export function openLarge(index) {
  const [first] = placesOf(currentRun());
  change({ sample: index, large: first?.column.index ?? null, whose: first?.whose ?? "" });
}

export function makeRow(run, places, room) {
  const head = makeSampleHead(run, room);
  const cells = places.map((place) => makeCell(run, place, room));
  const maps = el(
    "div",
    { class: "cells" },
    cells.map((cell) => cell.element),
  );
  const element = el("div", { class: "probe", role: "listitem", tabindex: "-1" }, head.element, maps);
  linkPointer(element, head.picture.frame, cells);
  const row = { element, cells, index: null, position: null, bind, release, draw, tell };
  head.box.addEventListener("change", () => pickSample(row.index, head.box.checked));
  head.note.addEventListener("click", () => editNote(run, row.index));
  head.picture.slot.addEventListener("click", () => openLarge(row.index));

  function bind(index, position, count) {
    row.position = position;
    element.setAttribute("aria-posinset", position + 1);
    element.setAttribute("aria-setsize", count);
    element.hidden = false;
    element.dataset.sample = index;
    if (row.index === index) return;
    row.index = index;
    head.picture.bind(index);
    for (const cell of cells) cell.bind(index);
    head.number.textContent = String(index + 1);
    const known = fileName(run, index);
    head.file.textContent = known ?? "";
    head.file.title = known ?? "";
    tellTitle(head.label, run, index);
    head.box.setAttribute("aria-label", `Select ${sampleName(run, index)}`);
    element.setAttribute("aria-label", `Image ${index + 1}, ${sampleTitle(run, index)}`);
    head.top.replaceChildren();
    head.past?.bind(index);
  }

  // Hidden, to be reused.
  function release() {
    element.hidden = true;
    delete element.dataset.sample;
    element.removeAttribute("aria-current");
  }

  // The parts that need no map: texts and marks.
  function tell() {
    const { index } = row;
    const snapshot = nearestSnapshot(run, state.epoch);
    const note = noteOf(run, index);
    tellVerdict(head.verdict, run, snapshot, index);
    if (head.twins) tellTwins(head.twins, twinsOf(run, index));
    head.past?.mark(snapshot?.epoch);
    head.box.checked = state.selected.includes(index);
    element.setAttribute("aria-current", String(state.sample === index));
    element.classList.toggle("current", state.sample === index);
    head.note.setAttribute("aria-label", `${note ? "Edit the" : "Add a"} note on ${sampleName(run, index)}`);
    head.note.classList.toggle("has-note", Boolean(note));
    head.note.title = note ? [note.note, ...note.tags.map((tag) => `#${tag}`)].map(isolated).join(" ") : "Add a note";
    const marks = [...(note?.tags ?? []).map((tag) => isolated(`#${tag}`)), ...flagsOf(run, snapshot, index).map(isolated)];
    head.flags.textContent = marks.join(" · ");
    head.flags.title = head.flags.textContent;
  }

  function draw() {
    tell();
    const { index } = row;
    const snapshot = nearestSnapshot(run, state.epoch);
    for (const cell of cells) enqueue(cell);
    if (!snapshot) return;
    topClasses(snapshot, index).then(
      (best) => row.index === index && drawTop(head.top, run, best, run.probes[index]),
      () => {},
    );
  }
  return row;
}
