// Elements from names, attributes and children. Text becomes text nodes, never markup: class names, file
// names and configuration values are untrusted.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children.flat(2)) {
    if (child !== null && child !== undefined && child !== false) element.append(child);
  }
  return element;
}

export function el(name, attributes, ...children) {
  return fill(document.createElement(name), attributes, children);
}

export function svg(name, attributes, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children);
}

// A long dotted name that may break after each dot. Its direction of writing does not change that of its neighbours.
export function breakable(name) {
  return el("bdi", {}, name.split(/(?<=[._/])/).flatMap((part, i) => (i ? [el("wbr"), part] : [part])));
}
