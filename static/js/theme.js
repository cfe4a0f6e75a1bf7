// The server stores the choice and tells us; the page changes its theme without a reload.

document.addEventListener("sidekick:theme", ({ detail }) => {
  document.documentElement.dataset.theme = detail.value;
  document.querySelector("meta[name=color-scheme]").content = detail.value === "system" ? "light dark" : detail.value;
  document.querySelector("[data-theme-system]")?.setAttribute("aria-pressed", String(detail.value === "system"));
  // The button that was pressed has given way to its opposite, which takes over the focus.
  const form = document.querySelector("[data-theme-form]");
  if (detail.elt === form) [...form.querySelectorAll("button")].find((button) => button.offsetParent)?.focus();
});
