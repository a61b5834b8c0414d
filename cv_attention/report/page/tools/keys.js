// Keyboard shortcuts, active anywhere unless the focused element uses the key itself.

import { openDialog } from "../core/dialog.js";
import { el } from "../core/dom.js";
import { epochRange } from "../core/epochs.js";
import { goTo } from "../core/scrolling.js";
import { change, currentRun, FIELDS, state } from "../core/state.js";
import { setZoom } from "../drawing/zoom.js";
import { editNote } from "../samples/notes.js";
import { openLarge, pickSample } from "../samples/rows.js";

function makeKeys(grid) {
  const epochTo = (epoch) => change({ epoch });
  const bounds = () => epochRange(currentRun()) ?? [0, 0];
  const pan = (x, y) => setZoom(state.zoom, state.x + x / state.zoom, state.y + y / state.zoom);
  const click = (selector) => document.querySelector(selector)?.click();
  const pick = () => {
    if (state.sample !== null) pickSample(state.sample, !state.selected.includes(state.sample));
  };
  const open = () => {
    if (state.sample === null) grid?.step(0);
    if (state.sample !== null) openLarge(state.sample);
  };
  const next = (name) => {
    const { choices } = FIELDS[name];
    change({ [name]: choices[(choices.indexOf(state[name]) + 1) % choices.length] });
  };
  return [
    [["ArrowLeft"], "previous epoch", () => epochTo(state.epoch - 1)],
    [["ArrowRight"], "next epoch", () => epochTo(state.epoch + 1)],
    [["Home"], "first epoch", () => epochTo(bounds()[0])],
    [["End"], "last epoch", () => epochTo(bounds()[1])],
    [["p"], "play or pause", () => click(".play")],
    [["g"], "to the maps", () => goTo("maps")],
    [["t"], "to the top", () => window.scrollTo(0, 0)],
    [["j"], "next sample", () => grid?.step(1)],
    [["k"], "previous sample", () => grid?.step(-1)],
    [["Enter", "o"], "large view of the sample", open],
    [["x"], "select the sample", pick],
    [["n"], "note on the sample", () => state.sample !== null && editNote(currentRun(), state.sample)],
    [["/"], "search names and classes", () => document.getElementById("search")?.focus()],
    [["f"], "filters", () => click("[data-panel=filters]")],
    [["d"], "display", () => click("[data-panel=display]")],
    [["c"], "columns", () => click("[data-panel=columns]")],
    [["v"], "compare", () => click("[data-panel=compare]")],
    [["b"], "next way to compare", () => next("compare")],
    [["m"], "next normalisation", () => next("scale")],
    [["s"], "smooth or nearest", () => change({ smooth: !state.smooth })],
    [["+", "="], "zoom in", () => setZoom(state.zoom * 1.25)],
    [["-"], "zoom out", () => setZoom(state.zoom / 1.25)],
    [["0"], "whole image", () => setZoom(1)],
    [["A"], "pan left", () => pan(-0.1, 0)],
    [["D"], "pan right", () => pan(0.1, 0)],
    [["W"], "pan up", () => pan(0, -0.1)],
    [["S"], "pan down", () => pan(0, 0.1)],
    [["?"], "this list", showKeys],
  ];
}

const KEY_NAMES = { ArrowLeft: "←", ArrowRight: "→", A: "Shift A", D: "Shift D", W: "Shift W", S: "Shift S" };
let keyTable = [];

export function showKeys() {
  const rows = keyTable.map(([keys, words]) =>
    el(
      "div",
      {},
      el(
        "dt",
        {},
        keys.map((key) => el("kbd", {}, KEY_NAMES[key] ?? key)),
      ),
      el("dd", {}, words),
    ),
  );
  openDialog("Keys", [el("dl", { class: "keys" }, rows)]);
}

export function listenToKeys(grid) {
  keyTable = makeKeys(grid);
  const actions = new Map(keyTable.flatMap(([keys, , action]) => keys.map((key) => [key, action])));
  document.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || document.querySelector("dialog[open]")) return;
    const { target } = event;
    if (target.closest("input:not([type=checkbox]):not([type=range]), select, textarea")) return;
    const moves = event.key.length > 1; // arrows, Home and End are also used by sliders and scrollable texts
    if (moves && target.closest("input, pre, .plot, [data-own-keys]")) return;
    if (event.key === "Enter" && target.closest("button, summary, [role=button]")) return;
    const action = actions.get(event.key);
    if (!action || !currentRun()) return;
    event.preventDefault();
    action();
  });
}
