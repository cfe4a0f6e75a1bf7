// [data-slider]: a range and a number field kept in step, with the total beside them. The total is for show, in whole
// minor units; the server computes the real one.

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

// The reason why fewer can't be bought shows at once; the button can still be focused, so that it explains itself.
const explain = (form, few) => {
  const { words, button } = parts(form);
  if (few === (button.getAttribute("aria-disabled") === "true")) return;
  if (few) {
    button.setAttribute("aria-disabled", "true");
    words.replaceChildren(form.querySelector("[data-slider-few]").content.cloneNode(true));
  } else {
    button.removeAttribute("aria-disabled");
    words.replaceChildren();
  }
};

const update = (form, quantity) => {
  const { range, total, words, button } = parts(form);
  const whole = Number.isInteger(quantity) && quantity >= 1;
  total.value = whole ? written(quantity * Number(form.dataset.unit), form.dataset.currency) : "–";
  range.setAttribute("aria-valuetext", `${range.value} credits`);
  range.style.setProperty("--along", `${((range.value - range.min) / (range.max - range.min)) * 100}%`);
  if (button.getAttribute("aria-disabled") !== "true") words.replaceChildren();
  explain(form, whole && quantity < Number(form.dataset.least));
};

document.addEventListener("input", ({ target }) => {
  const form = target.closest("[data-slider]");
  if (!form) return;
  const { range, number } = parts(form);
  if (target === range) number.value = range.value;
  else if (target === number) range.value = number.value || 1;
  update(form, number.value === "" ? NaN : Number(number.value));
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
const tend = (root) => {
  for (const form of root.querySelectorAll?.("[data-slider]") ?? []) {
    const { range, number, words } = parts(form);
    if (words.textContent.trim()) continue;
    range.value = number.value || 1;
    update(form, Number(number.value));
  }
};
tend(document);
window.addEventListener("pageshow", () => tend(document));
document.addEventListener("htmx:load", ({ target }) => tend(target.parentElement ?? target));
