// A <details> menu that closes as menus do: on Escape, on a click elsewhere, when the focus leaves.

const closeAll = (except) => {
  for (const menu of document.querySelectorAll("details[data-menu][open]")) {
    if (!menu.contains(except)) menu.open = false;
  }
};

document.addEventListener("click", ({ target }) => closeAll(target));
document.addEventListener("focusin", ({ target }) => closeAll(target));
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  const menu = document.querySelector("details[data-menu][open]");
  if (!menu) return;
  menu.open = false;
  menu.querySelector("summary").focus();
});
