// Assembles the page.

function makeMaps() {
  const run = currentRun();
  const title = el("h2", { id: "maps" }, "Maps");
  if (!report.runs.some((one) => one.probes.length && one.epochs.length)) {
    const text = run.probes.length
      ? "No maps have been logged yet."
      : "No probe images have been recorded in this run.";
    const hint = "log.maps_every and log.probes set when maps are recorded, and of how many images.";
    return {
      element: el(
        "section",
        { "aria-labelledby": "maps" },
        title,
        el("p", { class: "empty" }, `${text} ${hint}`),
      ),
    };
  }
  const heads = el("div", { class: "heads" });
  const grid = makeGrid(heads);
  const against = makeVersus(() => grid.element);
  const tools = makeToolbar(
    [
      { name: "filters", title: "Filters", element: makeFilters(), badge: activeFilters },
      { name: "display", title: "Display", element: makeDisplay() },
      { name: "columns", title: "Columns", element: makeColumnChooser(), badge: countColumns },
      { name: "compare", title: "Compare", element: makeCompare(), badge: () => (state.versus ? "on" : "") },
      { name: "notes", title: "Notes", element: makeNotes(), badge: countNotes },
      {
        name: "export",
        title: "Export",
        element: makeExport(grid, heads),
        badge: () => state.selected.length || "",
      },
    ],
    makeSearch(),
    makeSort(),
  );
  against.show();
  const keys = pushButton("Keys", showKeys, { class: "quiet" });
  const element = el(
    "section",
    { "aria-labelledby": "maps", class: "maps" },
    el("div", { class: "section-line" }, title, keys),
    tools,
    el("div", { class: "sticky" }, against.element, heads),
    grid.element,
  );
  return { element, grid };
}

// The sections in their order. The list of samples may be very long and comes last.
function makeSections() {
  const makers = [
    makeOverview,
    makeRuns,
    makeCurves,
    makeNetwork,
    makeConfusion,
    makeAttention,
    makeFaithfulness,
  ];
  return makers.map((make) => make()).filter(Boolean);
}

function recallTheme() {
  try {
    const kept = localStorage.getItem("cv_attention.theme");
    if (THEMES.includes(kept)) state.theme = kept;
  } catch {
    // Without storage, the system's theme is used.
  }
}

function start() {
  const root = document.getElementById("report");
  if (!report.runs.length) {
    const text = "The data of this report is missing: data/report.*.js was not loaded.";
    root.append(el("p", { class: "empty" }, text));
    return;
  }
  recallTheme();
  recallNotes();
  readAddress();
  const maps = makeMaps();
  const sections = [...makeSections(), maps.element];
  root.append(makeHeader(), makeBar(sections), el("main", {}, sections), readout);
  listenToKeys(maps.grid);
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  dark.addEventListener("change", () => change({ theme: state.theme })); // bars are painted in the theme's colours
  window.addEventListener("hashchange", () => {
    readAddress();
    change({ ...state });
  });
}

start();
