// A request that fails shows a message, never a silent nothing (N7).

const region = () => document.getElementById("toasts");

const show = (template) => {
  const toast = document.getElementById(template).content.cloneNode(true);
  toast.querySelector(".toast").dataset.from = template;
  region().append(toast);
};

// The server's own words arrive as a toast with a 4xx or 5xx status, which htmx would not swap by itself.
const speaksForItself = (xhr) => xhr.getResponseHeader("HX-Retarget") === "#toasts";
document.addEventListener("htmx:beforeSwap", ({ detail }) => {
  if (detail.isError && speaksForItself(detail.xhr)) detail.shouldSwap = true;
});
document.addEventListener("htmx:responseError", ({ detail }) => {
  if (!speaksForItself(detail.xhr)) show("toast-failed");
});
for (const event of ["htmx:sendError", "htmx:timeout"]) document.addEventListener(event, () => show("toast-unreachable"));
// Any answer shows that the connection is back.
const forget = () => document.querySelector(".toast[data-from=toast-unreachable]")?.remove();
for (const event of ["htmx:afterOnLoad", "sidekick:reached"]) document.addEventListener(event, forget);
for (const event of ["htmx:swapError", "htmx:targetError"]) document.addEventListener(event, () => show("toast-failed"));

document.addEventListener("click", ({ target }) => target.closest("[data-dismiss]")?.closest(".toast").remove());

// One toast of each wording; good news closes by itself once nobody points at it, bad news stays.
const SECONDS = 8;
const enhance = (toast) => {
  for (const other of region().children) {
    if (other !== toast && other.textContent.trim() === toast.textContent.trim()) other.remove();
  }
  if (toast.matches(".toast-error, .toast-warning")) return;
  const close = () => (toast.matches(":hover, :focus-within") ? setTimeout(close, 1000) : toast.remove());
  setTimeout(close, SECONDS * 1000);
};
new MutationObserver((changes) => {
  for (const change of changes) {
    for (const node of change.addedNodes) if (node.nodeType === Node.ELEMENT_NODE) enhance(node);
  }
}).observe(region(), { childList: true });

// A live region only reads out what arrives, so the messages that came with the page arrive once more.
region().replaceChildren(...region().children);
