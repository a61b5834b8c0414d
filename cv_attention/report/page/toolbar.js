// The controls of the maps: the epoch with its slider and player, and how maps are drawn.

const STEP_MS = 700;

function makePlayer() {
  let timer = null;
  const slider = el("input", {
    type: "range",
    step: "1",
    id: "epoch",
    "aria-label": "Epoch",
    oninput: () => change({ epoch: Number(slider.value) }),
  });
  const ticks = el("div", { class: "ticks", "aria-hidden": "true" });
  const text = el("output", { class: "epoch-text", for: "epoch", "aria-live": "polite" });
  const button = el("button", { type: "button", class: "play", onclick: () => (timer ? stop() : play()) });

  function stop() {
    clearInterval(timer);
    timer = null;
    show();
  }
  function play() {
    const range = epochRange(currentRun());
    if (state.epoch >= range[1]) change({ epoch: range[0] });
    timer = setInterval(() => {
      if (state.epoch >= range[1]) stop();
      else change({ epoch: state.epoch + 1 });
    }, STEP_MS);
    show();
  }
  function show() {
    const run = currentRun();
    const [first, last] = epochRange(run) ?? [0, 0];
    slider.min = first;
    slider.max = last;
    slider.value = state.epoch ?? 0;
    slider.disabled = button.disabled = first === last;
    slider.setAttribute("aria-valuetext", epochName(state.epoch ?? 0));
    button.textContent = timer ? "❚❚" : "▶";
    button.setAttribute("aria-label", timer ? "Pause" : "Play the epochs");
    const snapshot = nearestSnapshot(run, state.epoch);
    const elsewhere = snapshot && snapshot.epoch !== state.epoch;
    text.replaceChildren(
      el("strong", {}, epochName(state.epoch ?? 0)),
      el("span", { class: "muted" }, last >= 0 ? ` of ${last + 1}` : ""),
      elsewhere
        ? el("span", { class: "nearest-note" }, `maps of ${epochName(snapshot.epoch)}, the nearest logged`)
        : "",
    );
    ticks.replaceChildren(
      ...run.epochs.map(({ epoch }) => {
        const tick = el("i");
        tick.style.left = `${last > first ? (100 * (epoch - first)) / (last - first) : 0}%`;
        return tick;
      }),
    );
  }
  watch((values) => {
    if ("run" in values && timer) stop();
    else show();
  });
  show();
  return el("div", { class: "player" }, button, el("div", { class: "slider" }, slider, ticks), text);
}

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
