// The epoch: a slider with a tick for every logged epoch, a button that plays them, and a text that describes what
// is shown.

import { el } from "../core/dom.js";
import { epochRange, nearestSnapshot, recordedEpochs } from "../core/epochs.js";
import { epochName } from "../core/format.js";
import { change, currentRun, state, watch } from "../core/state.js";

const STEP_MS = 700;

function makeTimer(onchange) {
  let timer = null;
  const stop = () => {
    clearInterval(timer);
    timer = null;
    onchange();
  };
  const step = () => {
    if (state.epoch >= epochRange(currentRun())[1]) stop();
    else change({ epoch: state.epoch + 1 });
  };
  const play = () => {
    const [first, last] = epochRange(currentRun());
    if (state.epoch >= last) change({ epoch: first });
    timer = setInterval(step, STEP_MS);
    onchange();
  };
  return { running: () => timer !== null, stop, toggle: () => (timer ? stop() : play()) };
}

function epochWords(run, last) {
  const snapshot = nearestSnapshot(run, state.epoch);
  const elsewhere = snapshot && snapshot.epoch !== state.epoch;
  const note = elsewhere ? `maps of ${epochName(snapshot.epoch)}, the nearest logged` : null;
  return [
    el("strong", {}, epochName(state.epoch ?? 0)),
    el("span", { class: "muted" }, ` of ${last + 1}`),
    ...(note ? [el("span", { class: "nearest-note" }, note)] : []),
  ];
}

function epochTicks(run, first, last) {
  return recordedEpochs(run).map((epoch) => {
    const tick = el("i");
    tick.style.left = `${last > first ? (100 * (epoch - first)) / (last - first) : 0}%`;
    return tick;
  });
}

export function makePlayer() {
  const move = () => change({ epoch: Number(slider.value) });
  const slider = el("input", { type: "range", step: "1", id: "epoch", "aria-label": "Epoch", oninput: move });
  const ticks = el("div", { class: "ticks", "aria-hidden": "true" });
  const text = el("output", { class: "epoch-text", for: "epoch", "aria-live": "polite" });
  const timer = makeTimer(() => show());
  const button = el("button", { type: "button", class: "play", onclick: timer.toggle });
  const player = el(
    "div",
    { class: "player", role: "region", "aria-label": "Epoch" },
    button,
    el("div", { class: "slider" }, slider, ticks),
    text,
  );

  function show() {
    const run = currentRun();
    const [first, last] = epochRange(run) ?? [0, 0];
    player.hidden = run.export || !epochRange(run);
    Object.assign(slider, { min: first, max: last, value: state.epoch ?? 0 });
    slider.disabled = button.disabled = first === last;
    slider.setAttribute("aria-valuetext", epochName(state.epoch ?? 0));
    button.textContent = timer.running() ? "❚❚" : "▶";
    button.setAttribute("aria-label", timer.running() ? "Pause" : "Play the epochs");
    text.replaceChildren(...epochWords(run, last));
    ticks.replaceChildren(...epochTicks(run, first, last));
  }
  watch((values) => {
    if ("run" in values && timer.running()) timer.stop();
    else show();
  });
  show();
  return player;
}
