// Puts the page together.

function makeMaps() {
  const run = currentRun();
  const title = el("h2", { id: "maps" }, "Maps");
  if (!report.runs.some((one) => one.probes.length && one.epochs.length)) {
    const text = run.probes.length
      ? "No maps have been logged yet."
      : "No probe images have been recorded in this run.";
    return el(
      "section",
      { "aria-labelledby": "maps" },
      title,
      el(
        "p",
        { class: "empty" },
        `${text} log.maps_every and log.probes decide when and of how many images maps are kept.`,
      ),
    );
  }
  const heads = el("div", { class: "heads", "aria-hidden": "true" });
  const probes = makeProbes(heads);
  return el(
    "section",
    { "aria-labelledby": "maps", class: "maps" },
    el("div", { class: "section-line" }, title, el("p", { class: "muted hint" }, "← → change the epoch")),
    makeDisplay(),
    makeColumnChooser(),
    el("div", { class: "sticky" }, makePlayer(), heads),
    probes,
  );
}

function start() {
  const root = document.getElementById("report");
  if (!report.runs.length) {
    root.append(
      el("p", { class: "empty" }, "The data of this report is missing: data/report.*.js was not loaded."),
    );
    return;
  }
  try {
    state.theme = CHOICES.theme.includes(localStorage.getItem("cv_attention.theme"))
      ? localStorage.getItem("cv_attention.theme")
      : "auto";
  } catch {
    // Without storage the system's theme is used.
  }
  readAddress();
  root.append(makeHeader(), el("main", {}, makeOverview(), makeCurves(), makeMaps()), readout);
  listenToKeys();
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  dark.addEventListener("change", () => change({ theme: state.theme })); // bars are painted in the theme's colours
  window.addEventListener("hashchange", () => {
    Object.assign(state, START, { theme: state.theme });
    readAddress();
    change({ ...state });
  });
}

start();
