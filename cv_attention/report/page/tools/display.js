// How maps are drawn.

function makeDisplay() {
  const boxes = report.runs.some((run) => run.probes.some((probe) => probe.box));
  const percent = (value) => formatPercent(value);
  const scales = {
    image: "each image",
    column: "column, this epoch",
    run: "column, all epochs",
    global: "global: all columns",
  };
  const names = (choices) => Object.fromEntries(choices.map((name) => [name, name]));
  return el(
    "div",
    { class: "controls" },
    range("opacity", "Opacity", 0, 1, 0.05, percent),
    select("colours", "Colours", names(FIELDS.colours.choices)),
    select("signed", "Signed maps", names(FIELDS.signed.choices)),
    select("scale", "Normalised by", scales),
    range("threshold", "Threshold", 0, 1, 0.01, (value) => (value ? percent(value) : "off")),
    range("size", "Size", 64, 320, 4, (value) => `${value} px`),
    range(
      "zoom",
      "Zoom",
      1,
      16,
      0.1,
      (value) => `× ${Number(value.toFixed(1))}`,
      (value) => setZoom(value),
    ),
    range("x", "Centre, across", 0, 1, 0.01, percent, (value) => setZoom(state.zoom, value)),
    range("y", "Centre, down", 0, 1, 0.01, percent, (value) => setZoom(state.zoom, state.x, value)),
    toggleControl("smooth", "Smooth"),
    toggleControl("contour", "Contour"),
    makeClassSwitch(),
    boxes && toggleControl("box", "True box"),
    pushButton("Whole image", () => setZoom(1), { class: "quiet" }),
  );
}
