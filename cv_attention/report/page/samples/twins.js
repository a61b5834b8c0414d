// The same image in other runs: where it is, and what they predicted.

import { nearestSnapshot } from "../core/epochs.js";
import { report } from "../core/report.js";
import { limitFields, state } from "../core/state.js";
import { isRight } from "./flags.js";

const sameSample = new Map(); // "run>other" -> index in the other run of each sample

// Whether two names can refer to the same file: runs may include more or fewer of its folders.
function sameFile(a, b) {
  return a === b || a.endsWith(`/${b}`) || b.endsWith(`/${a}`);
}

// The index of each sample in the other run, null if unknown: the image of the same name and class; if several
// have the same name, or the run has no names, the image at the same position.
function placesIn(run, other) {
  const fileOf = ({ name, label }) => `${label}\n${name?.split("/").pop()}`;
  const files = new Map();
  other.probes.forEach((probe, i) => {
    if (!files.has(fileOf(probe))) files.set(fileOf(probe), []);
    if (probe.name) files.get(fileOf(probe)).push(i);
  });
  return run.probes.map((probe, i) => {
    if (!probe.name) return other.probes[i]?.label === probe.label ? i : null;
    const alike = (files.get(fileOf(probe)) ?? []).filter((there) => sameFile(probe.name, other.probes[there].name));
    const exact = alike.filter((there) => other.probes[there].name === probe.name);
    const found = exact.length ? exact : alike;
    if (found.length === 1) return found[0];
    return found.includes(i) ? i : null;
  });
}

export function sampleIn(run, other, index) {
  const key = `${run.folder}>${other.folder}`;
  if (!sameSample.has(key)) sameSample.set(key, placesIn(run, other));
  return sameSample.get(key)[index];
}

// Per other run that has this image: {run, number, snapshot, index}, at the epoch nearest to the chosen one.
export function twinsOf(run, index) {
  return report.runs.flatMap((other, number) => {
    const place = other === run || !other.epochs.length ? null : sampleIn(run, other, index);
    return place === null ? [] : [{ run: other, number, snapshot: nearestSnapshot(other, state.epoch), index: place }];
  });
}

// How this run and another one may differ on an image: whether each is right; null if that is unknown.
export const AGREEMENTS = {
  gained: { words: (other) => `right here, wrong in ${other}`, fits: (here, there) => here === true && there === false },
  lost: { words: (other) => `wrong here, right in ${other}`, fits: (here, there) => here === false && there === true },
  both: { words: (other) => `right here and in ${other}`, fits: (here, there) => here === true && there === true },
  neither: { words: (other) => `wrong here and in ${other}`, fits: (here, there) => here === false && there === false },
};

// The chosen agreement, such as "gained:1": {kind, number}.
export function chosenAgreement() {
  const [kind, number] = state.agreement.split(":");
  return AGREEMENTS[kind] ? { kind, number: Number(number) } : null;
}

export function agrees(run, snapshot, index, { kind, number }) {
  const twin = twinsOf(run, index).find((one) => one.number === number);
  if (!twin) return false;
  return AGREEMENTS[kind].fits(isRight(run, snapshot, index), isRight(twin.run, twin.snapshot, twin.index));
}

limitFields(["agreement"], (run) => {
  const chosen = chosenAgreement();
  return !state.agreement || Boolean(chosen && report.runs[chosen.number] && report.runs[chosen.number] !== run);
});
