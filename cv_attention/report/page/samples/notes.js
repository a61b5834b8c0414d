// Notes and tags on samples. They are kept in the browser until the reader saves them to a file.

const notesKey = `cv_attention.notes.${report.runs.map((run) => run.name).join("|")}`;
const notes = new Map(); // "run name\nsample" -> {note, tags}

const noteKey = (run, index) => `${run.name}\n${sampleKeys(run)[index]}`;

function noteOf(run, index) {
  return notes.get(noteKey(run, index));
}

function knownTags(run) {
  const mine = [...notes].filter(([key]) => key.startsWith(`${run.name}\n`));
  return [...new Set(mine.flatMap(([, note]) => note.tags))].sort();
}

function setNote(run, index, note, tags) {
  if (note || tags.length) notes.set(noteKey(run, index), { note, tags });
  else notes.delete(noteKey(run, index));
}

function splitTags(text) {
  return [
    ...new Set(
      text
        .split(/[,\s]+/)
        .map((tag) => tag.replace(/^#+/, ""))
        .filter(Boolean),
    ),
  ];
}

function notesAsText() {
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
function readNotes(text) {
  const content = JSON.parse(text);
  if (content?.cv_attention_notes !== 1 || !Array.isArray(content.notes))
    throw new Error("this is not a notes file");
  for (const { run, sample, note, tags } of content.notes) {
    if (typeof run !== "string" || !Array.isArray(tags)) throw new Error("a note in the file is invalid");
    notes.set(`${run}\n${sampleOfNote(run, sample)}`, { note: String(note ?? ""), tags: tags.map(String) });
  }
  return content.notes.length;
}

function keepNotes() {
  try {
    localStorage.setItem(notesKey, notesAsText());
  } catch {
    // Without storage, only the file keeps them.
  }
  change({ notes: true });
}

function recallNotes() {
  try {
    const text = localStorage.getItem(notesKey);
    if (text) readNotes(text);
  } catch {
    // Nothing was stored, or it cannot be read.
  }
}

// A dialog for the note and the tags of one sample.
function editNote(run, index) {
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

function makeNotes() {
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
  const tag = el("input", { type: "text", name: "tag", placeholder: "tag" });
  const tagSelection = () => {
    const run = currentRun();
    for (const index of state.selected) {
      const known = noteOf(run, index) ?? { note: "", tags: [] };
      setNote(run, index, known.note, [...new Set([...known.tags, ...splitTags(tag.value)])]);
    }
    const count = state.selected.length;
    status.textContent = `${count} selected sample${count === 1 ? "" : "s"} tagged.`;
    keepNotes();
  };
  const save = () => download("notes.json", new Blob([notesAsText()], { type: "application/json" }));
  return el(
    "div",
    { class: "controls" },
    pushButton("Save notes to a file", save),
    pushButton("Load notes from a file", () => file.click()),
    file,
    el("span", { class: "joined" }, labelled("Tag for the selection", tag), pushButton("Tag", tagSelection)),
    status,
  );
}

function countNotes() {
  const run = currentRun();
  return [...notes.keys()].filter((key) => key.startsWith(`${run.name}\n`)).length || "";
}
