// Light, dark, or as the system says; kept in the browser.

import { el } from "./dom.js";
import { change, state, THEMES, watch } from "./state.js";

const KEY = "cv_attention.theme";

export function recallTheme() {
  try {
    const kept = localStorage.getItem(KEY);
    if (THEMES.includes(kept)) state.theme = kept;
  } catch {
    // Without storage, the system's theme is used.
  }
}

export function makeThemeButton() {
  const names = { auto: "Theme: system", light: "Theme: light", dark: "Theme: dark" };
  const next = () => change({ theme: THEMES[(THEMES.indexOf(state.theme) + 1) % THEMES.length] });
  const button = el("button", { type: "button", class: "quiet", onclick: next });
  const show = () => {
    button.textContent = names[state.theme];
    if (state.theme === "auto") document.documentElement.removeAttribute("data-theme");
    else document.documentElement.dataset.theme = state.theme;
    try {
      localStorage.setItem(KEY, state.theme);
    } catch {
      // Storage may be disabled for files; the theme is then not kept.
    }
  };
  watch((values) => {
    if ("theme" in values) show();
  });
  show();
  return button;
}
