// Takes samples out of the page: printed, as a table, or selected for a figure.

import { pushButton } from "../core/controls.js";
import { el } from "../core/dom.js";
import { download } from "../core/download.js";
import { change, currentRun, state, watch } from "../core/state.js";
import { selectionAsCsv } from "./csv.js";

// Prints the page in light colours with the selected samples, or the first ones, whose maps are loaded before.
async function printPage(grid) {
  const { theme } = state;
  change({ theme: "light" });
  const tidy = await grid.spread();
  const after = () => {
    tidy();
    change({ theme });
  };
  window.addEventListener("afterprint", after, { once: true });
  window.print();
}

// figures: buttons that save the maps as a figure.
export function makeExport(grid, figures) {
  const name = () => {
    const run = currentRun();
    return run.name.replace(/[^\w.-]+/g, "_") + (run.export ? "" : `-epoch-${state.epoch + 1}`);
  };
  const table = async () => {
    const text = await selectionAsCsv(state.selected.length ? state.selected : grid.listed());
    download(`${name()}.csv`, new Blob([text], { type: "text/csv" }));
  };
  const status = el("span", { class: "muted" });
  const show = () => {
    const count = state.selected.length;
    const all = "nothing selected: figures and paper show the first images listed, the table has all of them";
    status.textContent = count ? `${count} selected` : all;
  };
  watch(show);
  show();
  return el(
    "div",
    { class: "controls" },
    figures,
    pushButton("Print", () => printPage(grid)),
    pushButton("Samples as CSV", table),
    pushButton("Select all listed", () => change({ selected: [...grid.listed()] })),
    pushButton("Select none", () => change({ selected: [] })),
    status,
  );
}
