// Steps through the samples; the grid's chosen sample is the same one.

import { pushButton } from "../core/controls.js";
import { el } from "../core/dom.js";
import { isolated } from "../core/format.js";
import { change, currentRun, state, watch } from "../core/state.js";
import { sampleTitle } from "../samples/names.js";

export function sampleStepper() {
  const shown = el("output", { class: "two-lines" });
  const step = (by) => {
    const count = currentRun().probes.length;
    change({ sample: ((state.sample ?? 0) + by + count) % count });
  };
  const show = () => {
    const run = currentRun();
    const at = state.sample ?? 0;
    if (run.probes[at]) shown.textContent = `${at + 1} of ${run.probes.length}: ${isolated(sampleTitle(run, at))}`;
  };
  watch(show);
  show();
  const before = pushButton("‹", () => step(-1), { "aria-label": "Previous image" });
  const after = pushButton("›", () => step(1), { "aria-label": "Next image" });
  return el("div", { class: "stepper", role: "group", "aria-label": "Image" }, before, shown, after);
}
