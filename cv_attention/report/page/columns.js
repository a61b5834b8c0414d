// Which columns are shown: a list of all of them with check marks, by source.

function makeColumnChooser() {
  const count = el("span", { class: "muted" });
  const list = el("div", { class: "column-list" });
  const set = (indices) => change({ columns: indices });
  const all = () => currentRun().columns.map((column) => column.index);

  function toggle(index, shown) {
    const now = new Set(shownColumns(currentRun()).map((column) => column.index));
    if (shown) now.add(index);
    else now.delete(index);
    const order = [...defaultColumns(currentRun()), ...all()];
    set([...new Set(order)].filter((column) => now.has(column)));
  }

  function draw() {
    const run = currentRun();
    const shown = new Set(shownColumns(run).map((column) => column.index));
    count.textContent = `${shown.size} of ${run.columns.length}`;
    const focused = document.activeElement?.dataset?.column;
    list.replaceChildren(
      ...["saliency", "attention"].map((source) => {
        const columns = run.columns.filter(
          (column) => (column.source === "saliency") === (source === "saliency"),
        );
        return columns.length
          ? el(
              "fieldset",
              {},
              el("legend", {}, source === "saliency" ? "Saliency" : "Attention blocks"),
              columns.map((column) => {
                const box = el("input", {
                  type: "checkbox",
                  checked: shown.has(column.index),
                  "data-column": column.index,
                  onchange: (event) => toggle(column.index, event.target.checked),
                });
                return el(
                  "label",
                  { class: "chip" },
                  box,
                  el("span", {}, breakable(columnName(column))),
                  el("span", { class: "kind" }, kindName(column)),
                );
              }),
            )
          : "";
      }),
    );
    if (focused !== undefined) list.querySelector(`[data-column="${Number(focused)}"]`)?.focus();
  }
  watch((values) => {
    if ("columns" in values || "run" in values) draw();
  });
  draw();
  return el(
    "details",
    { class: "columns" },
    el("summary", {}, "Columns ", count),
    el(
      "p",
      { class: "buttons" },
      el("button", { type: "button", onclick: () => set(all()) }, "All"),
      el("button", { type: "button", onclick: () => set([]) }, "None"),
      el("button", { type: "button", onclick: () => set(null) }, "Suggested"),
    ),
    list,
  );
}
