// Assembles the page of a study: what it found, curves of its arms, and images on which two arms differ.

import { el } from "./core/dom.js";
import { aSwitch } from "./core/fields.js";
import { report } from "./core/report.js";
import { addField, change, readAddress } from "./core/state.js";
import { recallTheme } from "./core/theme.js";
import { makeReadout } from "./drawing/readout.js";
import { makeCurves } from "./panels/curves.js";
import { makeTop } from "./panels/overview.js";
import { makeCompared } from "./study/compared.js";
import { makeFailures, makeMethods, makeResults } from "./study/results.js";
import { makeTested } from "./study/tested.js";
import { makeBar } from "./tools/contents.js";

addField("band", aSwitch(true)); // arms are groups of runs

function start() {
  const { study } = report;
  const root = document.getElementById("report");
  recallTheme();
  readAddress();
  const status = el("p", { class: study.sealed ? "notice" : "study-status" }, study.status);
  const sections = [
    makeResults(study),
    makeFailures(study),
    makeCurves(),
    makeTested(study),
    makeCompared(study),
    makeMethods(study),
  ].filter(Boolean);
  root.append(makeTop("cv_attention · study", study.name), makeBar(sections), el("main", { class: "study" }, status, sections), makeReadout());
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  dark.addEventListener("change", () => change({ theme: "auto" })); // bars are painted in the theme's colours
  window.addEventListener("hashchange", () => {
    readAddress();
    change({ band: true });
  });
}

start();
