// Notes and tags on samples. They are kept in the browser, for each run, until the reader saves them to a file: every
// report of a run shows the same ones, and other runs of the same name have their own.

import { labelled } from "../core/controls.js";
import { openDialog } from "../core/dialog.js";
import { el } from "../core/dom.js";
import { isolated } from "../core/format.js";
import { report } from "../core/report.js";
import { change } from "../core/state.js";
import { sampleKeys, sampleName } from "./names.js";

const notes = new Map(); // "owner\nsample" -> {note, tags}; the owner is a run, or a name from a file

const ownerOf = (run) => run.identity ?? run.name;
const noteKey = (run, index) => `${ownerOf(run)}\n${sampleKeys(run)[index]}`;

export function noteOf(run, index) {
  return notes.get(noteKey(run, index));
}

export function notesOf(run) {
  return [...notes].filter(([key]) => key.startsWith(`${ownerOf(run)}\n`)).map(([, note]) => note);
}

export function knownTags(run) {
  return [...new Set(notesOf(run).flatMap((note) => note.tags))].sort();
}

export function setNote(run, index, note, tags) {
  const key = noteKey(run, index);
  const about = note || tags.length ? { note, tags } : null;
  if (about) notes.set(key, about);
  else notes.delete(key);
  keepOne(run, key, about);
}

export function splitTags(text) {
  return [
    ...new Set(
      text
        .split(/[,\s]+/)
        .map((tag) => tag.replace(/^#+/, ""))
        .filter(Boolean),
    ),
  ];
}

export function notesAsText() {
  const rows = [...notes].map(([key, about]) => {
    const [owner, sample] = key.split("\n");
    const run = report.runs.find((one) => ownerOf(one) === owner);
    return { run: run?.name ?? owner, sample, ...about };
  });
  return JSON.stringify({ cv_attention_notes: 1, notes: rows }, null, 1);
}

// The page's name of a note's sample: notes written before names included folders have only the file name.
function sampleOfNote(run, sample) {
  const keys = sampleKeys(run);
  if (keys.includes(sample)) return sample;
  const alike = keys.filter((key) => key.endsWith(`/${sample}`));
  return alike.length === 1 ? alike[0] : null;
}

// The key of a note of a file: of the run of this name that has the sample; notes of other runs are kept for the file.
function keyOfNote(name, sample) {
  for (const run of report.runs.filter((one) => one.name === name)) {
    const known = sampleOfNote(run, sample);
    if (known !== null) return `${ownerOf(run)}\n${known}`;
  }
  return `${name}\n${sample}`;
}

// Imports the notes of a file; throws if it is not a notes file. Its notes replace existing ones of the same sample.
export function readNotes(text) {
  const content = JSON.parse(text);
  if (content?.cv_attention_notes !== 1 || !Array.isArray(content.notes))
    throw new Error("this is not a notes file");
  for (const { run, sample, note, tags } of content.notes) {
    if (typeof run !== "string" || !Array.isArray(tags)) throw new Error("a note in the file is invalid");
    notes.set(keyOfNote(run, sample), { note: String(note ?? ""), tags: tags.map(String) });
  }
  return content.notes.length;
}

const placeOf = (run) => `cv_attention.notes.${ownerOf(run)}`;

// The notes of one run that are kept in the browser: {"owner\nsample": {note, tags}}.
function keptNotes(run) {
  try {
    return JSON.parse(localStorage.getItem(placeOf(run)) ?? "{}");
  } catch {
    return {}; // nothing was stored, or it cannot be read
  }
}

// Changes one note among those that are kept now, which another tab may have changed meanwhile.
function keepOne(run, key, about) {
  const kept = keptNotes(run);
  if (about) kept[key] = about;
  else delete kept[key];
  try {
    localStorage.setItem(placeOf(run), JSON.stringify(kept));
  } catch {
    // Without storage, only the file keeps them.
  }
}

function keepAll() {
  for (const [key, about] of notes) {
    const run = report.runs.find((one) => key.startsWith(`${ownerOf(one)}\n`));
    if (run) keepOne(run, key, about);
  }
}

// Keeps all notes, such as those of a file.
export function keepNotes() {
  keepAll();
  change({ notes: true });
}

function recallRun(run) {
  for (const key of [...notes.keys()]) if (key.startsWith(`${ownerOf(run)}\n`)) notes.delete(key);
  for (const [key, { note, tags }] of Object.entries(keptNotes(run)))
    notes.set(key, { note: String(note ?? ""), tags: (tags ?? []).map(String) });
}

// Earlier pages kept the notes of all runs of a report together, under their names.
function takeOverEarlier() {
  try {
    const earlier = localStorage.getItem(`cv_attention.notes.${report.runs.map((run) => run.name).join("|")}`);
    if (!earlier || report.runs.some((run) => localStorage.getItem(placeOf(run)) !== null)) return;
    readNotes(earlier);
    keepAll();
  } catch {
    // Nothing was stored, or it cannot be read.
  }
}

// Also follows what other tabs write.
export function recallNotes() {
  takeOverEarlier();
  report.runs.forEach(recallRun);
  window.addEventListener("storage", (event) => {
    const run = report.runs.find((one) => placeOf(one) === event.key);
    if (!run) return;
    recallRun(run);
    change({ notes: true });
  });
}

// A dialog for the note and the tags of one sample.
export function editNote(run, index) {
  const known = noteOf(run, index) ?? { note: "", tags: [] };
  const text = el("textarea", { rows: "4", dir: "auto", name: "note" });
  const tags = el("input", { type: "text", dir: "auto", name: "tags", placeholder: "blurred, ask-anna" });
  text.value = known.note;
  tags.value = known.tags.join(", ");
  const save = () => {
    setNote(run, index, text.value.trim(), splitTags(tags.value));
    change({ notes: true });
  };
  openDialog(`Note on ${isolated(sampleName(run, index))}`, [labelled("Note", text), labelled("Tags", tags)], save);
}
