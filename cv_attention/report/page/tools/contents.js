// The sticky bar: links to the sections, and the epoch, which everything on the page follows.

// id: of the section's heading.
function goTo(id) {
  const title = document.getElementById(id);
  title?.closest("section").scrollIntoView({ block: "start" });
  title?.focus({ preventScroll: true });
}

function contentsButton(section) {
  const title = section.querySelector("h2");
  title.setAttribute("tabindex", "-1");
  const button = pushButton(title.textContent, () => goTo(title.id), { class: "link" });
  const show = () => (button.hidden = section.hidden);
  new MutationObserver(show).observe(section, { attributes: true, attributeFilter: ["hidden"] });
  show();
  return button;
}

// sections: elements with a heading; those without one are at the top of the page.
function makeBar(sections) {
  const titled = sections.filter((section) => section.querySelector("h2"));
  const contents = el("nav", { class: "contents", "aria-label": "Contents" }, titled.map(contentsButton));
  const bar = el("div", { class: "page-bar" }, contents, makePlayer());
  const measure = () => document.documentElement.style.setProperty("--page-bar", `${bar.offsetHeight}px`);
  new ResizeObserver(measure).observe(bar);
  return bar;
}

// Height in pixels of the bar and the column heads at the top of the window.
function coveredHeight() {
  return [".page-bar", ".sticky"].reduce((sum, name) => sum + (document.querySelector(name)?.offsetHeight ?? 0), 0);
}
