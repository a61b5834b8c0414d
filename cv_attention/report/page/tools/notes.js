// Saves notes to a file and loads them, and tags the selection.

import { labelled, pushButton } from "../core/controls.js";
import { el } from "../core/dom.js";
import { download } from "../core/download.js";
import { change, currentRun, state } from "../core/state.js";
import { keepNotes, noteOf, notesAsText, notesOf, readNotes, setNote, splitTags } from "../samples/notes.js";

// listed(): the samples that the filters let through.
export function makeNotes(listed) {
  const status = el("span", { class: "muted", role: "status" });
  const file = el("input", {
    type: "file",
    accept: ".json,application/json",
    hidden: true,
    "aria-label": "Notes file",
  });
  file.addEventListener("change", async () => {
    try {
      const count = readNotes(await file.files[0].text());
      status.textContent = `${count} note${count === 1 ? "" : "s"} imported.`;
      keepNotes();
    } catch (error) {
      status.textContent = `Not imported: ${error.message}.`;
    }
    file.value = "";
  });
  const tag = el("input", { type: "text", dir: "auto", name: "tag", placeholder: "tag" });
  tag.addEventListener("keydown", (event) => event.key === "Enter" && tagSelection());
  const tagSelection = () => {
    const run = currentRun();
    const tags = splitTags(tag.value);
    if (!state.selected.length || !tags.length) {
      const remedy = "Tick the boxes of images in the list, or select all that are listed";
      status.textContent = state.selected.length ? "Enter a tag first." : `Nothing is selected. ${remedy}.`;
      return;
    }
    for (const index of state.selected) {
      const known = noteOf(run, index) ?? { note: "", tags: [] };
      setNote(run, index, known.note, [...new Set([...known.tags, ...tags])]);
    }
    const count = state.selected.length;
    status.textContent = `${count} selected sample${count === 1 ? "" : "s"} tagged.`;
    change({ notes: true });
  };
  const save = () => download("notes.json", new Blob([notesAsText()], { type: "application/json" }));
  return el(
    "div",
    { class: "controls" },
    pushButton("Save notes to a file", save),
    pushButton("Load notes from a file", () => file.click()),
    file,
    el("span", { class: "joined" }, labelled("Tag for the selection", tag), pushButton("Tag", tagSelection)),
    pushButton("Select all listed", () => change({ selected: [...listed()] })),
    status,
  );
}

export function countNotes() {
  return notesOf(currentRun()).length || "";
}
