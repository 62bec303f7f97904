// Language and colours: the browser's, until somebody chooses here.

import { language, say, setLanguage, translate } from "./texts.js";

const THEME = "kadr.theme";
const dark = matchMedia("(prefers-color-scheme: dark)");

/**
 * @param {HTMLButtonElement} languageButton
 * @param {HTMLButtonElement} themeButton
 * @param {() => void} onLanguage
 */
export function settings(languageButton, themeButton, onLanguage) {
  const showLanguage = () => {
    const other = language() === "ru" ? "en" : "ru";
    document.documentElement.lang = language();
    translate(document);
    languageButton.lang = other;
    languageButton.firstElementChild.textContent = other === "ru" ? "РУ" : "EN";
    showTheme(themeButton);
  };
  languageButton.addEventListener("click", () => {
    setLanguage(language() === "ru" ? "en" : "ru");
    showLanguage();
    onLanguage();
  });
  themeButton.addEventListener("click", () => {
    const chosen = isDark() ? "light" : "dark";
    document.documentElement.dataset.theme = chosen;
    localStorage.setItem(THEME, chosen);
    showTheme(themeButton);
  });
  dark.addEventListener("change", () => showTheme(themeButton));
  showLanguage();
}

function isDark() {
  const { theme } = document.documentElement.dataset;
  return theme === "dark" || (theme === "auto" && dark.matches);
}

/** @param {HTMLButtonElement} button */
function showTheme(button) {
  const label = say(isDark() ? "light" : "dark");
  button.setAttribute("aria-label", label);
  button.title = label;
  button.querySelector("use").setAttribute("href", isDark() ? "#i-sun" : "#i-moon");
}
