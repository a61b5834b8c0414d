// Notes and tags on samples. They are kept in the browser until the reader saves them to a file.

import { labelled } from "../core/controls.js";
import { openDialog } from "../core/dialog.js";
import { el } from "../core/dom.js";
import { report } from "../core/report.js";
import { change } from "../core/state.js";
import { sampleKeys, sampleName } from "./names.js";

const notesKey = `cv_attention.notes.${report.runs.map((run) => run.name).join("|")}`;
export const notes = new Map(); // "run name\nsample" -> {note, tags}

const noteKey = (run, index) => `${run.name}\n${sampleKeys(run)[index]}`;

export function noteOf(run, index) {
  return notes.get(noteKey(run, index));
}

export function knownTags(run) {
  const mine = [...notes].filter(([key]) => key.startsWith(`${run.name}\n`));
  return [...new Set(mine.flatMap(([, note]) => note.tags))].sort();
}

export function setNote(run, index, note, tags) {
  if (note || tags.length) notes.set(noteKey(run, index), { note, tags });
  else notes.delete(noteKey(run, index));
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
    const [run, sample] = key.split("\n");
    return { run, sample, ...about };
  });
  return JSON.stringify({ cv_attention_notes: 1, notes: rows }, null, 1);
}

// The page's name of a note's sample: notes written before names included folders have only the file name.
function sampleOfNote(name, sample) {
  const run = report.runs.find((one) => one.name === name);
  const keys = run ? sampleKeys(run) : [];
  if (keys.includes(sample)) return sample;
  const alike = keys.filter((key) => key.endsWith(`/${sample}`));
  return alike.length === 1 ? alike[0] : sample;
}

// Imports the notes of a file; throws if it is not a notes file. Its notes replace existing ones of the same sample.
export function readNotes(text) {
  const content = JSON.parse(text);
  if (content?.cv_attention_notes !== 1 || !Array.isArray(content.notes))
    throw new Error("this is not a notes file");
  for (const { run, sample, note, tags } of content.notes) {
    if (typeof run !== "string" || !Array.isArray(tags)) throw new Error("a note in the file is invalid");
    notes.set(`${run}\n${sampleOfNote(run, sample)}`, { note: String(note ?? ""), tags: tags.map(String) });
  }
  return content.notes.length;
}

export function keepNotes() {
  try {
    localStorage.setItem(notesKey, notesAsText());
  } catch {
    // Without storage, only the file keeps them.
  }
  change({ notes: true });
}

export function recallNotes() {
  try {
    const text = localStorage.getItem(notesKey);
    if (text) readNotes(text);
  } catch {
    // Nothing was stored, or it cannot be read.
  }
}

// A dialog for the note and the tags of one sample.
export function editNote(run, index) {
  const known = noteOf(run, index) ?? { note: "", tags: [] };
  const text = el("textarea", { rows: "4", name: "note" });
  const tags = el("input", { type: "text", name: "tags", placeholder: "blurred, ask-anna" });
  text.value = known.note;
  tags.value = known.tags.join(", ");
  const save = () => {
    setNote(run, index, text.value.trim(), splitTags(tags.value));
    keepNotes();
  };
  openDialog(`Note on ${sampleName(run, index)}`, [labelled("Note", text), labelled("Tags", tags)], save);
}
