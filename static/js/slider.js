// [data-slider]: a range and a field kept in step, with the total beside them. The field's `pattern` and the limits are the
// server's, so a number has a total here exactly where the server would sell it; the server computes the real one.

const parts = (form) => ({
  range: form.querySelector("[data-slider-range]"),
  number: form.querySelector("[data-slider-number]"),
  total: form.querySelector("[data-slider-total]"),
  words: form.querySelector("[data-slider-words]"),
  button: form.querySelector("button"),
});

const written = (minor, currency) => {
  const format = new Intl.NumberFormat("en-US", { style: "currency", currency });
  return format.format(minor / 10 ** format.resolvedOptions().maximumFractionDigits);
};

// Why the number can't be bought: the name of a template, or nothing.
const reasonIn = (form) => {
  const { number } = parts(form);
  const [quantity, { least, most }] = [Number(number.value), form.dataset];
  if (!number.validity.valid || quantity < 1 || quantity > Number(most)) return "wrong";
  return quantity < Number(least) ? "few" : "";
};

// The reason shows at once; the button can still be focused, so that it explains itself.
const explain = (form, reason) => {
  const { number, words, button } = parts(form);
  const template = form.querySelector(`[data-slider-reason="${reason}"]`);
  number.setAttribute("aria-invalid", String(Boolean(reason)));
  if (reason) button.setAttribute("aria-disabled", "true");
  else button.removeAttribute("aria-disabled");
  // A status that stays the same isn't read out again.
  if (words.textContent.trim() === (template?.content.textContent.trim() ?? "")) return;
  words.replaceChildren(...(template ? [template.content.cloneNode(true)] : []));
};

const update = (form) => {
  const { range, number, total } = parts(form);
  const reason = reasonIn(form);
  if (reason !== "wrong") range.value = Number(number.value);
  total.value = reason ? "–" : written(Number(number.value) * Number(form.dataset.unit), form.dataset.currency);
  range.setAttribute("aria-valuetext", `${range.value} credits`);
  range.style.setProperty("--along", `${((range.value - range.min) / (range.max - range.min)) * 100}%`);
  explain(form, reason);
};

document.addEventListener("input", ({ target }) => {
  const form = target.closest("[data-slider]");
  if (!form) return;
  const { range, number } = parts(form);
  if (target === range) number.value = range.value;
  update(form);
});

// Captured, so that it runs before htmx's own listener.
document.addEventListener(
  "submit",
  (event) => {
    const form = event.target.closest("[data-slider]");
    if (!form || parts(form).button.getAttribute("aria-disabled") !== "true") return;
    event.preventDefault();
    event.stopImmediatePropagation();
    parts(form).number.focus();
  },
  { capture: true },
);

// A form that comes filled in again (Back, an error) shows the total of its number.
const enhance = (root) => root.querySelectorAll?.("[data-slider]").forEach(update);
enhance(document);
window.addEventListener("pageshow", () => enhance(document));
document.addEventListener("htmx:load", ({ target }) => enhance(target.parentElement ?? target));
