// A modal dialog: Escape closes it, and the focus returns to where it was.

import { pushButton } from "./controls.js";
import { el } from "./dom.js";

export function openDialog(title, content, onsave = null) {
  const before = document.activeElement;
  const close = () => dialog.close();
  const buttons = onsave
    ? [pushButton("Cancel", close), el("button", { type: "submit", class: "primary" }, "Save")]
    : [pushButton("Close", close)];
  const form = el(
    "form",
    { method: "dialog" },
    el("h2", { id: "dialog-title" }, title),
    content,
    el("p", { class: "buttons" }, buttons),
  );
  const dialog = el("dialog", { "aria-labelledby": "dialog-title" }, form);
  form.addEventListener("submit", () => onsave?.());
  dialog.addEventListener("close", () => {
    dialog.remove();
    if (before?.isConnected) before.focus();
  });
  document.body.append(dialog);
  dialog.showModal();
}
