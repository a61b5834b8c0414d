// How maps are drawn, and of which images.

function select(name, label, options) {
  const field = el(
    "select",
    { onchange: () => change({ [name]: field.value }) },
    Object.entries(options).map(([value, text]) => el("option", { value }, text)),
  );
  watch(() => (field.value = state[name]));
  field.value = state[name];
  return el("label", { class: "control" }, el("span", {}, label), field);
}

function range(name, label, low, high, step, format) {
  const shown = el("output");
  const field = el("input", {
    type: "range",
    min: low,
    max: high,
    step,
    name,
    oninput: () => change({ [name]: Number(field.value) }),
  });
  const show = () => {
    field.value = state[name];
    shown.textContent = format(state[name]);
  };
  watch(show);
  show();
  return el("label", { class: "control" }, el("span", {}, label, " ", shown), field);
}

function toggleControl(name, label) {
  const field = el("input", { type: "checkbox", name, onchange: () => change({ [name]: field.checked }) });
  const show = () => (field.checked = state[name]);
  watch(show);
  show();
  return el("label", { class: "control check" }, field, el("span", {}, label));
}

function makeDisplay() {
  const element = el(
    "details",
    { class: "display" },
    el("summary", {}, "Display"),
    el(
      "div",
      { class: "controls" },
      range("opacity", "Opacity", 0, 1, 0.05, (value) => formatPercent(value)),
      select("colours", "Colours", Object.fromEntries(CHOICES.colours.map((name) => [name, name]))),
      select("scale", "Scale", { image: "each image", column: "column", run: "column, all epochs" }),
      select("show", "Images", { all: "all", correct: "correct", wrong: "wrong" }),
      range("size", "Size", 64, 320, 4, (value) => `${value} px`),
      toggleControl("smooth", "Smooth"),
      report.runs.some((run) => run.probes.some((probe) => probe.box)) && toggleControl("box", "True box"),
    ),
  );
  element.open = window.matchMedia("(min-width: 720px)").matches;
  return element;
}
