// [data-draft] in a form: the words that are typed there stay in this browser until the form is sent, for the account whose
// stamp the page carries. They only fill in a form without words, so they never replace any.

const [PREFIX, DAYS] = ["draft:", 30];
const discarded = new WeakMap();
let filling = false;

const notes = () => [...document.querySelectorAll("[data-draft]")];
const account = document.querySelector("meta[name=sidekick-account]")?.content;
const keyOf = ({ dataset }, draft = dataset.draft) => `${PREFIX}${account}:${draft}`;
const controlsOf = (form) => [...form.elements].filter((one) => one.name && one.matches("textarea, select, [type=text], [type=radio]"));
const wordsOf = (form) => controlsOf(form).filter((one) => one.matches("textarea, [type=text]"));

const valuesOf = (form) => {
  const values = {};
  for (const one of controlsOf(form)) if (one.type !== "radio" || one.checked) values[one.name] = one.value;
  return values;
};
const hasWords = (form) => wordsOf(form).some(({ value }) => value.trim());

// A browser may refuse to keep anything, or have kept something else.
const read = (key) => {
  try {
    const { at, values } = JSON.parse(localStorage.getItem(key));
    return at > Date.now() - DAYS * 864e5 ? values : null;
  } catch {
    return null;
  }
};
const forget = (key) => {
  try {
    localStorage.removeItem(key);
  } catch {
    // Nothing is kept there.
  }
};
const keep = (key, form) => {
  try {
    localStorage.setItem(key, JSON.stringify({ at: Date.now(), values: valuesOf(form) }));
  } catch {
    // Half of the words would be taken for all of them.
    forget(key);
  }
};
const storedKeys = () => {
  try {
    return Object.keys(localStorage).filter((key) => key.startsWith(PREFIX));
  } catch {
    return [];
  }
};

const announce = (words) => {
  document.getElementById("announcer").textContent = words;
};

// Says whether there is a draft, or offers those of forms with the same fields.
const tell = (note) => {
  const form = note.closest("form");
  const isOffered = ({ dataset: { draftFrom } }) => !draftFrom || read(keyOf(note, draftFrom));
  const offers = [...note.querySelectorAll("[data-draft-from]")].filter(isOffered);
  const kept = hasWords(form) && read(keyOf(note)) && "kept";
  const state = discarded.has(form) ? "discarded" : kept || (!hasWords(form) && offers.length && "offered");
  note.classList.toggle("unseen", !state);
  // Unseen, it holds the room of the words to come.
  for (const part of note.querySelectorAll("[data-draft-when]")) {
    part.hidden = part.dataset.draftWhen !== (state || "kept") || !isOffered(part);
  }
};

const fill = (form, values) => {
  filling = true;
  for (const one of controlsOf(form)) {
    if (!(one.name in values)) continue;
    if (one.type === "radio") one.checked = one.value === values[one.name];
    else one.value = values[one.name];
    one.dispatchEvent(new Event("input", { bubbles: true }));
  }
  filling = false;
};

const restore = (note) => {
  const [form, draft] = [note.closest("form"), read(keyOf(note))];
  if (draft && !hasWords(form)) fill(form, draft);
};

const save = (note) => {
  const form = note.closest("form");
  discarded.delete(form);
  if (hasWords(form)) keep(keyOf(note), form);
  else forget(keyOf(note));
  tell(note);
};

const acts = {
  discard: (note, form) => {
    discarded.set(form, valuesOf(form));
    forget(keyOf(note));
    fill(form, Object.fromEntries(wordsOf(form).map(({ name }) => [name, ""])));
    announce("Draft discarded");
  },
  undo: (note, form) => {
    fill(form, discarded.get(form));
    save(note);
    announce("Draft brought back");
  },
  take: (note, form, button) => {
    const other = keyOf(note, button.dataset.draftFrom);
    fill(form, read(other) ?? {});
    save(note);
    if (read(keyOf(note))) forget(other);
  },
};

document.addEventListener("click", ({ target }) => {
  const button = target.closest("[data-draft-act]");
  const form = button?.closest("form");
  const note = form?.querySelector("[data-draft]");
  if (!note) return;
  acts[button.dataset.draftAct](note, form, button);
  tell(note);
  // The button that was pressed gives way to another.
  const next = [...note.querySelectorAll("[data-draft-act]")].find((one) => one.checkVisibility());
  (button.dataset.draftAct === "take" ? wordsOf(form)[0] : next)?.focus();
});

document.addEventListener("input", ({ target }) => {
  const note = !filling && target.form?.querySelector("[data-draft]");
  if (note) save(note);
});

// A POST that is stored redirects; one that is refused, or whose session is over, comes back from its own address.
document.addEventListener("htmx:beforeSwap", ({ detail }) => {
  const note = detail.requestConfig?.elt?.querySelector?.("[data-draft]");
  const isStored = detail.xhr.status < 400 && detail.pathInfo.responsePath !== detail.pathInfo.requestPath;
  if (note && detail.requestConfig.verb === "post" && isStored) forget(keyOf(note));
});

const forgetAll = () => storedKeys().filter((key) => key.startsWith(`${PREFIX}${account}:`)).forEach(forget);
document.addEventListener("sidekick:signed-out", forgetAll);
// Other forms that end this session load a page.
document.addEventListener("submit", ({ target }) => target.matches("[data-signs-out]") && forgetAll());

for (const key of storedKeys()) if (!read(key)) forget(key);

const enhance = (root) => {
  for (const note of root.querySelectorAll?.("[data-draft]") ?? []) {
    restore(note);
    tell(note);
  }
};
enhance(document);
window.addEventListener("pageshow", () => enhance(document));
// Another tab has written, sent or discarded: what stands here stays.
window.addEventListener("storage", () => notes().forEach(tell));
document.addEventListener("htmx:load", ({ target }) => enhance(target.parentElement ?? target));
