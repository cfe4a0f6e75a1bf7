// [data-limit]: counts the characters that are typed, as the server does; it checks them again.

const count = (control) => {
  const shown = document.querySelector(`[data-count-of="${control.id}"]`);
  const limit = Number(control.dataset.limit);
  if (!shown || !limit) return;
  // A line's end counts as one character, as it does on the server.
  const length = [...control.value].length;
  shown.hidden = false;
  shown.textContent = `${length.toLocaleString("en-GB")} of ${limit.toLocaleString("en-GB")}`;
  shown.classList.toggle("over", length > limit);
};

document.addEventListener("input", ({ target }) => {
  if (target.matches("[data-limit]")) count(target);
});

const enhance = (root) => root.querySelectorAll?.("[data-limit]").forEach(count);
enhance(document);
window.addEventListener("pageshow", () => enhance(document));
document.addEventListener("htmx:load", ({ target }) => enhance(target.parentElement ?? target));
