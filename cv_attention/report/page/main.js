// Assembles the page.
//
// Folders use each other in one direction: core, what everything uses; drawing of maps and charts; samples, their list;
// panels, the sections about whole runs, and tools, what surrounds the list, which do not know each other; this file.
// The page of a study is another one of the same parts: study.js.

import { pushButton } from "./core/controls.js";
import { el } from "./core/dom.js";
import { report } from "./core/report.js";
import { carryFields, change, currentRun, readAddress, state } from "./core/state.js";
import { recallTheme } from "./core/theme.js";
import { makeReadout } from "./drawing/readout.js";
import { carryChoices } from "./samples/carrying.js";
import { makeGrid } from "./samples/grid.js";
import { makeLarge } from "./samples/large.js";
import { recallNotes } from "./samples/notes.js";
import { makeAttention } from "./panels/attention.js";
import { makeBags } from "./panels/bags.js";
import { makeConfusion } from "./panels/confusion.js";
import { makeCurves, shownCurvesAsCsv } from "./panels/curves.js";
import { makeFaithfulness } from "./panels/faithfulness.js";
import { hasGlimpses, makeGlimpses } from "./panels/glimpses.js";
import { makeLabels } from "./panels/labels.js";
import { makeNetwork } from "./panels/network.js";
import { makeHeader, makeOverview } from "./panels/overview.js";
import { makeMemory } from "./panels/memory.js";
import { hasReadings, makeReading } from "./panels/reading.js";
import { makeRuns } from "./panels/runs.js";
import { activeFilters, makeActive } from "./tools/active.js";
import { countColumns, makeColumnChooser } from "./tools/columns.js";
import { comparedWords, makeCompare, makeVersus } from "./tools/compare.js";
import { makeBar, makeTabs } from "./tools/contents.js";
import { makeDisplay } from "./tools/display.js";
import { makeExport } from "./tools/export.js";
import { makeFilters, makeSearch, makeSort } from "./tools/finding.js";
import { listenToKeys, showKeys } from "./tools/keys.js";
import { countNotes, makeNotes } from "./tools/notes.js";
import { addFigureButtons, makeFigureButtons } from "./tools/paper.js";
import { makePlayer } from "./tools/player.js";
import { makeToolbar } from "./tools/toolbar.js";
import { countViews, makeViews } from "./tools/views.js";

function makeMaps() {
  const run = currentRun();
  const title = el("h2", { id: "maps" }, "Maps");
  if (!report.runs.some((one) => one.probes.length && one.epochs.length)) {
    if (report.runs.some((one) => hasReadings(one) || hasGlimpses(one))) return {}; // they have their own section
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
  const against = makeVersus(() => grid.frame);
  const keys = pushButton("Keys", showKeys, { class: "quiet" });
  const line = el("div", { class: "section-line" }, title, keys);
  const element = el("section", { "aria-labelledby": "maps", class: "maps" }, line);
  const words = (kind) => `View as ${kind}`;
  const tools = makeToolbar(
    [
      { name: "filters", title: "Filters", element: makeFilters(), badge: activeFilters },
      { name: "display", title: "Display", element: makeDisplay() },
      { name: "columns", title: "Columns", element: makeColumnChooser(), badge: countColumns },
      { name: "compare", title: "Compare", element: makeCompare(), badge: comparedWords },
      { name: "views", title: "Views", element: makeViews(() => change({ views: true })), badge: countViews },
      { name: "notes", title: "Notes", element: makeNotes(grid.listed), badge: countNotes },
      {
        name: "export",
        title: "Export",
        element: makeExport(grid, makeFigureButtons(element, { prepare: grid.spread, words })),
        badge: () => state.selected.length || "",
      },
    ],
    makeSearch(),
    makeSort(),
  );
  against.show();
  element.append(tools, makeActive(), el("div", { class: "sticky" }, against.element, heads), grid.element);
  return { element, grid };
}

// The sections in their order: the maps come first. Their list shows a few images until the reader asks for all.
function makeSections(maps) {
  const makers = [
    makeOverview,
    () => maps,
    makeReading,
    makeGlimpses,
    makeRuns,
    makeCurves,
    makeNetwork,
    makeLabels,
    makeAttention,
    makeConfusion,
    makeFaithfulness,
    makeBags,
    makeMemory,
  ];
  return makers.map((make) => make()).filter(Boolean);
}

// Sections that can be saved as figures, by the ids of their titles, and what is particular about them.
const FIGURES = {
  maps: (grid) => ({ prepare: grid.spread }),
  curves: () => ({ more: { CSV: shownCurvesAsCsv } }),
  network: () => ({}),
  attention: () => ({}),
  classes: () => ({}),
  labels: () => ({}),
  faithfulness: () => ({}),
  reading: () => ({}),
  glimpses: () => ({}),
  bags: () => ({}),
  memory: () => ({}),
};

function start() {
  const root = document.getElementById("report");
  if (!report.runs.length) {
    const text = "The data of this report is missing: data/report.*.js was not loaded.";
    root.append(el("p", { class: "empty" }, text));
    return;
  }
  recallTheme();
  recallNotes();
  carryFields(carryChoices);
  readAddress();
  const maps = makeMaps();
  const sections = makeSections(maps.element);
  for (const section of sections) {
    const particular = FIGURES[section.getAttribute("aria-labelledby")];
    if (particular && !section.querySelector(":scope > .empty")) addFigureButtons(section, particular(maps.grid));
  }
  root.append(makeHeader(), makeBar(sections, makeTabs(), makePlayer()), el("main", {}, sections), makeReadout());
  const large = makeLarge();
  root.append(large.element);
  large.show();
  listenToKeys(maps.grid);
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  dark.addEventListener("change", () => change({ theme: state.theme })); // bars are painted in the theme's colours
  window.addEventListener("hashchange", () => {
    readAddress();
    change({ ...state });
  });
}

start();
