// #filters says what the table beside it shows, also when a request fails, and so do the links that carry the filters.
const filters = () => document.getElementById("filters");
const values = (form) => [...new FormData(form)];

// The values of the table that is shown, for each form: a swap of the page brings another form.
const shown = new WeakMap();

const note = () => {
  const form = filters();
  if (form) shown.set(form, values(form));
};

// A swap of the table leaves these links as they are; a plain click sends the form's values along, a new tab would not.
const updateLinks = () => {
  const form = filters();
  const chosen = new URLSearchParams(values(form).filter(([, value]) => value));
  for (const link of document.querySelectorAll("[hx-include='#filters'] a[href]")) link.search = chosen;
};

const restore = (form) => {
  for (const [name, value] of shown.get(form) ?? []) form.elements[name].value = value;
};

note();
document.addEventListener("htmx:load", () => shown.has(filters()) || note());
document.addEventListener("htmx:afterSwap", ({ detail }) => {
  if (!filters() || detail.requestConfig?.elt !== filters()) return;
  note();
  updateLinks();
});

for (const event of ["htmx:sendError", "htmx:timeout", "htmx:responseError"]) {
  document.addEventListener(event, ({ detail }) => detail.elt.id === "filters" && restore(detail.elt));
}
