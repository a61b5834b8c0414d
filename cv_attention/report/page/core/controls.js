// Form fields that show and change one part of the state.

import { el } from "./dom.js";
import { change, currentRun, state, watch } from "./state.js";

let fields = 0;

// The label names its field explicitly: otherwise the output of a value inside of it would be what it labels.
export function labelled(label, field, ...classes) {
  field.id ||= `field-${++fields}`;
  return el("label", { class: ["control", ...classes].join(" "), for: field.id }, el("span", {}, label), field);
}

// options: [[value, text]] in their order, or {value: text}; or a function of the run that returns one. Instead of a
// text, a group has options of its own. Values that are numbers need the list: objects order them first.
export function select(name, label, options, onpick = (value) => change({ [name]: value })) {
  const field = el("select", { name, onchange: () => onpick(field.value) });
  let filled = "";
  const show = () => {
    const now = typeof options === "function" ? options(currentRun()) : options;
    const signature = JSON.stringify(now);
    const before = field.value;
    if (signature !== filled) field.replaceChildren(...optionElements(now));
    filled = signature;
    field.value = state[name] ?? "";
    if (field.selectedIndex < 0) field.value = before; // nothing was chosen: what the section showed of itself stays
  };
  watch(show);
  show();
  return labelled(label, field);
}

function optionElements(options) {
  const pairs = Array.isArray(options) ? options : Object.entries(options);
  return pairs.map(([value, text]) =>
    typeof text === "object"
      ? el("optgroup", { label: value }, optionElements(text))
      : el("option", { value, dir: "auto" }, text), // a name runs in its own direction
  );
}

export function rangeControl(name, label, low, high, step, format, onmove = (value) => change({ [name]: value })) {
  const shown = el("output");
  const field = el("input", {
    type: "range",
    min: low,
    max: high,
    step,
    name,
    oninput: () => onmove(Number(field.value)),
  });
  const show = () => {
    field.value = state[name];
    shown.textContent = format(state[name]);
  };
  watch(show);
  show();
  return labelled([label, " ", shown], field);
}

// label: a text, or a function that returns it.
export function toggleControl(name, label) {
  const field = el("input", { type: "checkbox", name, onchange: () => change({ [name]: field.checked }) });
  const words = el("span");
  const show = () => {
    field.checked = state[name];
    words.textContent = typeof label === "function" ? label() : label;
  };
  watch(show);
  show();
  return el("label", { class: "control check" }, field, words);
}

// A number that may be typed; nothing else changes the state.
export function numberControl(name, label) {
  const field = el("input", {
    type: "number",
    step: "any",
    name,
    onchange: () => Number.isFinite(field.valueAsNumber) && change({ [name]: field.valueAsNumber }),
  });
  const show = () => {
    if (document.activeElement !== field) field.value = state[name];
  };
  watch(show);
  show();
  return labelled(label, field);
}

export function pushButton(text, onclick, attributes = {}) {
  return el("button", { type: "button", onclick, ...attributes }, text);
}
