// Scrolling to sections, and what covers the top of the window.

// id: of the section's heading.
export function goTo(id) {
  const title = document.getElementById(id);
  title?.closest("section").scrollIntoView({ block: "start" });
  title?.focus({ preventScroll: true });
}

// Height in pixels of the bar and the column heads at the top of the window.
export function coveredHeight() {
  return [".page-bar", ".sticky"].reduce((sum, name) => sum + (document.querySelector(name)?.offsetHeight ?? 0), 0);
}
