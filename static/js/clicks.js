// A click or a form that a browser gives another meaning is the browser's, not htmx's: a key held (new tab, new window,
// download), another button, `target`, `download`. Stopped on its way down, it never reaches htmx, which would prevent
// what the browser does.
const HERE = ["", "_self"];
const isModified = ({ button, altKey, ctrlKey, metaKey, shiftKey }) => button !== 0 || altKey || ctrlKey || metaKey || shiftKey;
const leadsElsewhere = (link) => link.hasAttribute("download") || !HERE.includes(link.getAttribute("target") ?? "");

// A submit event doesn't say which keys were held in the click that caused it.
let held = null;

document.addEventListener(
  "click",
  (event) => {
    held = null;
    const link = event.target.closest("a[href]");
    if (link && (isModified(event) || leadsElsewhere(link))) event.stopPropagation();
    const button = event.target.closest("button, input");
    if (button?.form && isModified(event)) held = button;
  },
  { capture: true },
);

// Not `stopImmediatePropagation`: other listeners of the document may still refuse what is wrong in the form.
document.addEventListener(
  "submit",
  (event) => {
    const { submitter, target: form } = event;
    const elsewhere = submitter?.getAttribute("formtarget") ?? form.getAttribute("target") ?? "";
    if ((submitter && submitter === held) || !HERE.includes(elsewhere)) event.stopPropagation();
    held = null;
  },
  { capture: true },
);
