// [data-report]: counts what is typed, names the images that were chosen, and says what is too large before it is sent.
// The server checks all of it again; without this script it is the one that says so.

const megabytes = (bytes) => `${(bytes / 1024 / 1024).toFixed(1)} MB`;

// A line's end counts as one character, as it does on the server.
const count = (control) => {
  const shown = document.querySelector(`[data-count-of="${control.id}"]`);
  const limit = Number(control.dataset.limit);
  if (!shown || !limit) return;
  const length = [...control.value].length;
  shown.hidden = false;
  shown.textContent = `${length.toLocaleString("en-GB")} of ${limit.toLocaleString("en-GB")}`;
  shown.classList.toggle("over", length > limit);
};

const copy = (field, kind, name) => {
  const line = field.querySelector(`template[${kind}]`).content.cloneNode(true);
  if (name) line.querySelector("span").textContent = line.querySelector("span").textContent.replace("…", name);
  return line;
};

const item = (file, large) => {
  const line = document.createElement("li");
  const [name, size] = [document.createElement("span"), document.createElement("span")];
  [name.textContent, size.textContent] = [file.name, megabytes(file.size)];
  name.className = "truncate";
  if (large) size.className = "large";
  line.append(name, size);
  return line;
};

const wrongWith = (field, input) => {
  const { most, mostBytes } = input.dataset;
  const kept = field.querySelectorAll("[name=keep]:checked").length;
  const large = [...input.files].filter((file) => file.size > Number(mostBytes));
  const lines = large.map((file) => copy(field, "data-too-large", file.name));
  if (kept + input.files.length > Number(most)) lines.push(copy(field, "data-too-many"));
  return lines;
};

const check = (field) => {
  const input = field.querySelector("input[type=file]");
  const chosen = field.querySelector("[data-chosen]");
  const lines = wrongWith(field, input);
  chosen.replaceChildren(...[...input.files].map((file) => item(file, file.size > Number(input.dataset.mostBytes))));
  chosen.hidden = input.files.length === 0;
  field.querySelector(".field-errors").replaceChildren(...lines);
  input.setAttribute("aria-invalid", String(lines.length > 0));
  return lines.length === 0;
};

document.addEventListener("input", ({ target }) => {
  if (target.matches("[data-report] [data-limit]")) count(target);
});
document.addEventListener("change", ({ target }) => {
  const field = target.closest("[data-images]");
  if (field) check(field);
});

// Before htmx hears of it: what is too large need not travel first.
document.addEventListener(
  "submit",
  (event) => {
    const field = event.target.querySelector?.("[data-images]");
    if (!field || !field.querySelector("input[type=file]").files.length || check(field)) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    field.querySelector("input[type=file]").focus();
  },
  { capture: true },
);

const tend = (root) => root.querySelectorAll?.("[data-report] [data-limit]").forEach(count);
tend(document);
window.addEventListener("pageshow", () => tend(document));
document.addEventListener("htmx:load", ({ target }) => tend(target.parentElement ?? target));
