// The server stores the choice and tells us; the page changes its theme without a reload, and so do those of other tabs.
const THEMES = ["light", "dark", "system"];
const channel = new BroadcastChannel("sidekick-theme");

const showTheme = (theme) => {
  document.documentElement.dataset.theme = theme;
  document.querySelector("meta[name=color-scheme]").content = theme === "system" ? "light dark" : theme;
  document.querySelector("[data-theme-system]")?.setAttribute("aria-pressed", String(theme === "system"));
};

document.addEventListener("sidekick:theme", ({ detail }) => {
  showTheme(detail.value);
  channel.postMessage(detail.value);
  // The button that was pressed has given way to its opposite, which takes over the focus.
  const form = document.querySelector("[data-theme-form]");
  if (detail.elt === form) [...form.querySelectorAll("button")].find((button) => button.offsetParent)?.focus();
});
channel.addEventListener("message", ({ data }) => showTheme(data));

// Back may bring a page with the theme of then.
window.addEventListener("pageshow", () => {
  const chosen = document.cookie.match(/(?:^|; )theme=(\w+)/)?.[1];
  if (THEMES.includes(chosen) && chosen !== document.documentElement.dataset.theme) showTheme(chosen);
});
