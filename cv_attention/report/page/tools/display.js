// How maps are drawn.

import { numberControl, pushButton, rangeControl, select, toggleControl } from "../core/controls.js";
import { el } from "../core/dom.js";
import { formatPercent } from "../core/format.js";
import { report } from "../core/report.js";
import { FIELDS, state, watch } from "../core/state.js";
import { setZoom } from "../drawing/zoom.js";
import { makeClassSwitch } from "../samples/classes.js";

export function makeDisplay() {
  const boxes = report.runs.some((run) => run.probes.some((probe) => probe.box));
  const percent = (value) => formatPercent(value);
  const scales = {
    natural: "natural for each kind",
    image: "each image",
    column: "column, this epoch",
    run: "column, all epochs",
    global: "all columns and epochs",
    manual: "limits by hand",
  };
  const clips = [["0", "none"], ...["1", "2", "5"].map((part) => [part, `${part} % at each end`])];
  const limits = el("span", { class: "joined" }, numberControl("low", "From"), numberControl("high", "To"));
  const clip = select("clip", "Clipped", clips);
  const show = () => {
    limits.hidden = state.scale !== "manual";
    clip.hidden = state.scale === "manual";
  };
  watch(show);
  show();
  const names = (choices) => Object.fromEntries(choices.map((name) => [name, name]));
  return el(
    "div",
    { class: "controls" },
    rangeControl("opacity", "Opacity", 0, 1, 0.05, percent),
    select("colours", "Colours", names(FIELDS.colours.choices)),
    select("signed", "Signed maps", names(FIELDS.signed.choices)),
    select("scale", "Scale of colours", scales),
    limits,
    clip,
    rangeControl("threshold", "Threshold", 0, 1, 0.01, (value) => (value ? percent(value) : "off")),
    rangeControl("size", "Size", 64, 320, 4, (value) => `${value} px`),
    rangeControl(
      "zoom",
      "Zoom",
      1,
      16,
      0.1,
      (value) => `× ${Number(value.toFixed(1))}`,
      (value) => setZoom(value),
    ),
    rangeControl("x", "Centre, across", 0, 1, 0.01, percent, (value) => setZoom(state.zoom, value)),
    rangeControl("y", "Centre, down", 0, 1, 0.01, percent, (value) => setZoom(state.zoom, state.x, value)),
    toggleControl("smooth", "Smooth"),
    toggleControl("contour", "Contour"),
    makeClassSwitch(),
    boxes && toggleControl("box", "True box"),
    pushButton("Whole image", () => setZoom(1), { class: "quiet" }),
  );
}
