// After a swap: where the focus goes and what is read out. Works on the document, so swapped content needs no set-up.

// Back pressed once more while a page still loads moves only the address, before htmx is there to notice.
const [navigation] = performance.getEntriesByType("navigation");
if (navigation && !navigation.redirectCount && new URL(navigation.name).pathname !== location.pathname) location.reload();

const announce = (words) => {
  document.getElementById("announcer").textContent = words;
};

let settled = null;

document.addEventListener("htmx:afterSettle", ({ target, detail }) => {
  if (detail.target?.id === "main") {
    // htmx settles each new child of #main; the heading, or what is wrong, is wanted once.
    if (settled === detail.xhr) return;
    settled = detail.xhr;
    (document.querySelector("#main [autofocus]") ?? document.querySelector("#main h1"))?.focus({ preventScroll: true });
    announce(document.title);
    return;
  }
  if (document.activeElement === document.body) target.querySelector?.("[data-focus]")?.focus();
  const words = target.querySelector?.("[data-announce]")?.textContent.trim();
  if (words) announce(words);
});

// The target is busy while its request runs; the style sheet dims it after 150 ms.
document.addEventListener("htmx:beforeRequest", ({ detail }) => detail.target?.setAttribute("aria-busy", "true"));
document.addEventListener("htmx:afterRequest", ({ detail }) => detail.target?.removeAttribute("aria-busy"));

// On a phone a table's rows are laid out as blocks, which takes the table's meaning away; roles give it back.
const ROLES = { table: "table", "thead, tbody, tfoot": "rowgroup", tr: "row", td: "cell", "th[scope=col]": "columnheader", "th[scope=row]": "rowheader" };
const tendTables = (root) => {
  for (const wrap of root.querySelectorAll?.(".table-wrap") ?? []) {
    // A keyboard can only scroll what it can focus.
    if (wrap.scrollWidth > wrap.clientWidth) wrap.tabIndex = 0;
  }
  for (const table of root.querySelectorAll?.("table.data") ?? []) {
    table.setAttribute("role", "table");
    for (const [selector, role] of Object.entries(ROLES)) {
      for (const part of table.querySelectorAll(selector)) part.setAttribute("role", role);
    }
  }
};
tendTables(document);
document.addEventListener("htmx:load", ({ target }) => tendTables(target.parentElement ?? target));

// Forms that make an account tell which time zone the browser is in, so that days on screen are the customer's own (A10).
for (const zone of document.querySelectorAll("[data-time-zone]")) zone.value = Intl.DateTimeFormat().resolvedOptions().timeZone ?? "";
