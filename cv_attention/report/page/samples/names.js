// Names of samples.

import { className } from "../core/class_names.js";
import { isolated } from "../core/format.js";

function countEach(words) {
  const counts = new Map();
  for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1);
  return counts;
}

// Unique keys of a run's samples: their names; with the class, and finally the number, for runs recorded before
// names included folders, in which several may have the same name.
export function sampleKeys(run) {
  if (!run.sampleKeys) {
    const names = run.probes.map((probe, i) => probe.name ?? String(i));
    const known = countEach(names);
    const classed = names.map((name, i) =>
      known.get(name) === 1 ? name : `${className(run, run.probes[i].label)}/${name}`,
    );
    const again = countEach(classed);
    run.sampleKeys = classed.map((name, i) => (again.get(name) === 1 ? name : `${name} (${i + 1})`));
  }
  return run.sampleKeys;
}

// The name of a sample's file, or null.
export function fileName(run, i) {
  return run.probes[i].name ? sampleKeys(run)[i] : null;
}

export function sampleName(run, i) {
  return fileName(run, i) ?? `image ${i + 1}`;
}

// The true class of a sample; of one that may have several, all of them.
export function trueClass(run, i) {
  const { label, labels } = run.probes[i];
  if (!labels) return className(run, label);
  return labels.map((one) => isolated(className(run, one))).join(", ") || "no class";
}

// The main label of a sample: its true class, or its name if that is unknown.
export function sampleTitle(run, i) {
  const { label, labels } = run.probes[i];
  return label === null && !labels ? sampleName(run, i) : trueClass(run, i);
}

// Shows it as a title, in the direction of a single name; several names stand in the order of the page.
export function tellTitle(element, run, i) {
  element.textContent = sampleTitle(run, i);
  element.title = element.textContent;
  element.dir = run.probes[i].labels ? "ltr" : "auto";
}
