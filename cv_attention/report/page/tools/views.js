// Views that the reader saves under a name: addresses, kept in the browser for this report's runs.

import { labelled, pushButton } from "../core/controls.js";
import { el } from "../core/dom.js";
import { isolated } from "../core/format.js";
import { report } from "../core/report.js";

const place = `cv_attention.views.${report.runs.map((run) => run.identity).join(".")}`;

// [{name, address}], in the order in which they were saved.
function savedViews() {
  try {
    const kept = JSON.parse(localStorage.getItem(place) ?? "[]");
    return kept.filter(({ name, address }) => typeof name === "string" && String(address).startsWith("#"));
  } catch {
    return []; // nothing was stored, or it cannot be read
  }
}

function keepViews(views) {
  try {
    localStorage.setItem(place, JSON.stringify(views));
    return true;
  } catch {
    return false;
  }
}

// Copies the address, which holds the view; where the browser forbids that, shows it selected, to be copied by hand.
function makeLink(status) {
  const field = el("input", { type: "text", class: "address", readonly: "", hidden: true, "aria-label": "Link to this view" });
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(location.href);
      status.textContent = "Copied: the link opens the page with these filters, columns and scales.";
    } catch {
      field.value = location.href;
      field.hidden = false;
      field.select();
      status.textContent = "Copy the link from the field.";
    }
  };
  return [pushButton("Copy link to this view", copy), field];
}

export function makeViews(onchange) {
  const name = el("input", { type: "text", dir: "auto", name: "view", placeholder: "errors of seed 1", maxlength: 80 });
  const list = el("ul", { class: "views" });
  const status = el("span", { class: "muted", role: "status" });
  function draw() {
    const rows = savedViews().map((view) =>
      el(
        "li",
        {},
        el("a", { href: view.address, class: "view-link" }, el("bdi", {}, view.name)),
        pushButton("×", () => forget(view), { "aria-label": `Forget the view ${view.name}`, class: "quiet" }),
      ),
    );
    list.replaceChildren(...rows);
    onchange();
  }
  function forget(view) {
    keepViews(savedViews().filter((one) => one.name !== view.name));
    draw();
  }
  function save() {
    const wanted = name.value.trim();
    if (!wanted) return name.focus();
    const others = savedViews().filter((one) => one.name !== wanted);
    const kept = keepViews([...others, { name: wanted, address: location.hash || "#" }]);
    status.textContent = kept ? `Saved as ${isolated(wanted)}.` : "This browser keeps nothing for files; copy the address instead.";
    draw();
  }
  name.addEventListener("keydown", (event) => event.key === "Enter" && save());
  queueMicrotask(draw);
  const line = el("span", { class: "joined" }, labelled("Name of this view", name), pushButton("Save", save));
  return el("div", { class: "controls" }, line, list, makeLink(status), status);
}

export function countViews() {
  return savedViews().length || "";
}
