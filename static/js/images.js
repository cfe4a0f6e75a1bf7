// [data-images]: images that are chosen, pasted or dropped come together in one list, from which each can be removed.
// Those that can't be sent are told of at once. The server checks all of it again; without this script it says so.

// A browser replaces the files of an input by each choice, so what was there before is kept here.
const lists = new WeakMap();
// Files are read before they are added: a form that is sent meanwhile waits for it.
const reading = new WeakMap();

const inputIn = (field) => field.querySelector("input[type=file]");
const listIn = (field) => lists.get(inputIn(field)) ?? [];
const total = (field) => field.querySelectorAll("[name=keep]:checked").length + listIn(field).length;

const announce = (...sentences) => {
  document.getElementById("announcer").textContent = sentences.filter(Boolean).join(" ");
};

const line = (field, reason, name) => {
  const made = field.querySelector(`template[data-refused="${reason}"]`).content.cloneNode(true).firstElementChild;
  made.querySelector("[data-name]").textContent = name;
  return made;
};

const written = (bytes) => (bytes < 100 * 1024 ? `${Math.ceil(bytes / 1024)} KB` : `${(bytes / 1024 / 1024).toFixed(1)} MB`);

const row = (field, file) => {
  const made = field.querySelector("template[data-chosen-row]").content.cloneNode(true).firstElementChild;
  for (const name of made.querySelectorAll("[data-name]")) name.textContent = file.name;
  made.querySelector("[data-size]").textContent = written(file.size);
  return made;
};

const counted = (field) => `${total(field)} of ${inputIn(field).dataset.most}`;

const show = (field, list, lines = []) => {
  const [input, chosen] = [inputIn(field), field.querySelector("[data-chosen]")];
  const transfer = new DataTransfer();
  for (const file of list) transfer.items.add(file);
  input.files = transfer.files;
  lists.set(input, list);
  chosen.replaceChildren(...list.map((file) => row(field, file)));
  chosen.hidden = list.length === 0;
  field.querySelector(".field-errors").replaceChildren(...lines);
  input.setAttribute("aria-invalid", String(lines.some((each) => each.matches(".field-error"))));
  const count = field.querySelector("[data-images-count]");
  count.hidden = total(field) === 0;
  count.textContent = counted(field);
};

// The first bytes tell what a file is; its name and type often don't.
const KNOWN = /^(\x89PNG|\xff\xd8\xff|RIFF....WEBP)/s;
const HEIC_BRAND = /^....ftyp(hei[cxms]|hev[cxms]|mif1|msf1)/s;

const wrongWith = async (file, mostBytes) => {
  let head;
  try {
    head = String.fromCharCode(...new Uint8Array(await file.slice(0, 12).arrayBuffer()));
  } catch {
    return "unreadable"; // A folder, or a file that has gone since.
  }
  const isHeic = HEIC_BRAND.test(head) || /\.(heic|heif|hif)$/i.test(file.name) || /^image\/hei[cf]/i.test(file.type);
  if (!KNOWN.test(head)) return isHeic ? "heic" : "unknown";
  return file.size > mostBytes ? "large" : "";
};

const bytesOf = async (file) => new Uint8Array(await file.arrayBuffer());

const twinOf = async (file, list) => {
  for (const other of list.filter(({ size }) => size === file.size)) {
    const [one, two] = [await bytesOf(file), await bytesOf(other)];
    if (one.every((byte, at) => byte === two[at])) return other;
  }
  return null;
};

const add = async (field, files) => {
  const { most, mostBytes } = inputIn(field).dataset;
  const [before, list, lines] = [listIn(field), [...listIn(field)], []];
  const room = Number(most) - total(field) + before.length;
  for (const file of files) {
    const wrong = await wrongWith(file, Number(mostBytes));
    const twin = !wrong && (await twinOf(file, list));
    if (wrong) lines.push(line(field, wrong, file.name));
    else if (twin) lines.push(line(field, "same", twin.name));
    else if (list.length >= room) lines.push(line(field, "full", file.name));
    else list.push(file);
  }
  show(field, list, lines);
  const added = list.slice(before.length).map(({ name }) => name).join(", ");
  announce(added && `${added} added. ${counted(field)} images.`, ...lines.map(({ textContent }) => textContent.trim()));
};

// One after another: two images that are pasted quickly are both there.
const queue = (field, files) => {
  const input = inputIn(field);
  const done = (reading.get(input) ?? Promise.resolve()).then(() => add(field, files));
  reading.set(input, done);
  done.finally(() => reading.get(input) === done && reading.delete(input));
};

const remove = (field, at) => {
  const [gone] = listIn(field).slice(at);
  show(field, listIn(field).filter((file) => file !== gone));
  const buttons = field.querySelectorAll("[data-remove]");
  (buttons[at] ?? buttons[at - 1] ?? inputIn(field)).focus();
  announce(`${gone.name} removed. ${counted(field)} images.`);
};

// Ticked again, an image that was kept needs room like any other.
const tick = (field, box) => {
  const full = total(field) > Number(inputIn(field).dataset.most);
  if (full) box.checked = false;
  const lines = full ? [line(field, "full", box.closest("label").textContent.trim())] : [];
  show(field, listIn(field), lines);
  announce(...lines.map(({ textContent }) => textContent.trim()));
};

document.addEventListener("change", ({ target }) => {
  const field = target.closest("[data-images]");
  if (field && target.type === "file") queue(field, [...target.files]);
  else if (field && target.name === "keep") tick(field, target);
});

document.addEventListener("click", ({ target }) => {
  const button = target.closest("[data-remove]");
  const field = button?.closest("[data-images]");
  if (field) remove(field, [...field.querySelectorAll("[data-remove]")].indexOf(button));
});

// Every pasted image is called image.png.
const named = (field, file) => {
  if (!/^image\.\w+$/.test(file.name)) return file;
  const [taken, kind] = [listIn(field).filter(({ name }) => name.startsWith("Pasted image")).length, file.name.split(".")[1]];
  return new File([file], `Pasted image${taken ? ` ${taken + 1}` : ""}.${kind}`, file);
};

document.addEventListener("paste", (event) => {
  const field = document.querySelector("[data-images]");
  const files = [...(event.clipboardData?.files ?? [])];
  // A spreadsheet copies its cells as words and as a picture of them; a file comes with its name as words.
  const words = event.clipboardData?.getData("text/plain").trim();
  const isWords = words && !files.some(({ name }) => words.includes(name));
  if (!field || !files.length || isWords) return;
  event.preventDefault();
  queue(field, files.map((file) => named(field, file)));
});

// Taken anywhere on the page: where nobody takes a file the browser opens it, and the report is gone.
const isDrag = ({ dataTransfer }) => dataTransfer?.types.includes("Files");
const mark = (field, on) => field?.classList.toggle("dropping", on);
document.addEventListener("dragover", (event) => {
  const field = document.querySelector("[data-images]");
  if (!field || !isDrag(event)) return;
  event.preventDefault();
  mark(field, true);
});
document.addEventListener("dragleave", ({ relatedTarget }) => relatedTarget || mark(document.querySelector("[data-images]"), false));
document.addEventListener("drop", (event) => {
  const field = document.querySelector("[data-images]");
  if (!field || !isDrag(event)) return;
  event.preventDefault();
  mark(field, false);
  queue(field, [...event.dataTransfer.files]);
});

// Captured, so that it runs before htmx's own listener.
document.addEventListener(
  "submit",
  (event) => {
    const field = event.target.querySelector?.("[data-images]");
    const wait = field && reading.get(inputIn(field));
    if (!wait) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    wait.finally(() => event.target.requestSubmit(event.submitter));
  },
  { capture: true },
);

// A form that comes back with the files that were chosen shows them.
const enhance = (root) => {
  for (const field of root.querySelectorAll?.("[data-images]") ?? []) {
    if (!lists.has(inputIn(field))) show(field, [...inputIn(field).files], [...field.querySelectorAll(".field-errors > *")]);
  }
};
enhance(document);
window.addEventListener("pageshow", () => enhance(document));
document.addEventListener("htmx:load", ({ target }) => enhance(target.parentElement ?? target));
