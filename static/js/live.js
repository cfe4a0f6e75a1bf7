// [data-live] refreshes itself from that address every [data-live-every] seconds while somebody can see it.
// `Sidekick-Poll` tells the server that no person asked: a poll does not prolong a session (A6). [data-live-tag] names
// what stands here already: as long as nothing changed the answer is 304, and only the time moves on.
// An answer may bring more regions of the page, all of one state. Each has an id and a tag of its own: what changed is
// swapped, but not while it is read. Then [data-live-newer] in it offers what is newer.

const LONGEST = 600;
const asked = new WeakMap();

const stateOf = (element) => {
  if (!asked.has(element)) asked.set(element, { at: Date.now(), failures: 0, busy: false });
  return asked.get(element);
};

// Each failure doubles the wait: a server in trouble should not be asked by every open tab.
const isDue = (element) => {
  const { at, failures } = stateOf(element);
  const every = Math.max(Math.min(element.dataset.liveEvery * 2 ** failures, LONGEST), element.dataset.liveEvery);
  return Date.now() - at >= every * 1000;
};

const holdsSelection = (element) => {
  const selection = getSelection();
  return !selection.isCollapsed && selection.getRangeAt(0).intersectsNode(element);
};

// Dates that were typed and not applied yet.
const holdsTyped = (element) => [...element.querySelectorAll("input")].some(({ value, defaultValue }) => value !== defaultValue);

// A swap would take away what somebody typed or selected, or the focus where nothing says whom to give it back to.
const isInUse = (element) => {
  const { activeElement } = document;
  const holdsFocus = element.contains(activeElement) && !(element.matches("[data-live]") && activeElement.id);
  return holdsFocus || holdsTyped(element) || holdsSelection(element) || isRead(element);
};

// Rows must not move under the eyes of somebody who went to look at them: on a far page, further down or to the side.
const isRead = (element) => {
  const newer = element.querySelector("[data-live-newer]");
  if (!newer) return false;
  const isDown = scrollY > 0 && element.getBoundingClientRect().top < innerHeight;
  const isAside = [...element.querySelectorAll(".table-wrap")].some(({ scrollLeft }) => scrollLeft);
  return newer.dataset.liveNewer === "kept" || isDown || isAside || Boolean(element.querySelector("details[open]"));
};

const announce = (words) => {
  document.getElementById("announcer").textContent = words;
};

const noticesIn = (element) => [...element.querySelectorAll("[data-notice]")];

const swap = (element, html) => {
  const { id } = element;
  const known = new Set(noticesIn(element).map(({ dataset }) => dataset.notice));
  htmx.swap(element, html, { swapStyle: "outerHTML" });
  const news = noticesIn(document.getElementById(id) ?? document).filter(({ dataset }) => !known.has(dataset.notice));
  const words = news.map((notice) => notice.querySelector("p").textContent);
  if (words.length) announce(words.join(" "));
};

const offer = (element, fresh) => {
  element.dataset.liveBehind = "";
  const newer = element.querySelector("[data-live-newer]");
  if (!newer) return;
  const count = fresh.dataset.liveCount - element.dataset.liveCount;
  const words = count > 0 ? `${count.toLocaleString("en")} newer request${count === 1 ? "" : "s"}` : "Newer figures";
  newer.querySelector("a").textContent = words;
  // Read out once: from then on the link is there to be found.
  if (newer.hidden) announce(words);
  newer.hidden = false;
};

const show = (element, html) => {
  const answer = new DOMParser().parseFromString(html, "text/html");
  const regions = [...answer.querySelectorAll("[id][data-live-tag]")];
  // Those are for a customer who asked: a region that follows is not read out, and takes no focus.
  for (const name of ["data-announce", "data-focus"]) {
    for (const part of answer.querySelectorAll(`[${name}]`)) part.removeAttribute(name);
  }
  if (!regions.length) swap(element, html);
  for (const fresh of regions) {
    const here = document.getElementById(fresh.id);
    if (!here || here.dataset.liveTag === fresh.dataset.liveTag) continue;
    if (isInUse(here)) offer(here, fresh);
    else swap(here, fresh.outerHTML);
  }
};

const confirm = (headers) => {
  const [asOf, clock] = [headers.get("Sidekick-As-Of"), headers.get("Sidekick-Clock")];
  if (!asOf || !clock) return;
  for (const time of document.querySelectorAll("[data-as-of]")) {
    // A region that is behind is as old as it says.
    if (time.closest("[data-live-behind]")) continue;
    time.dateTime = asOf;
    time.textContent = clock;
  }
};

const loadPage = (address, words) => document.dispatchEvent(new CustomEvent("sidekick:load-page", { detail: { address, words } }));

const ask = async (element, anew) => {
  const { live, liveTag } = element.dataset;
  const headers = { "HX-Request": "true", "HX-Current-URL": location.href, "Sidekick-Poll": "1" };
  const account = document.querySelector("meta[name=sidekick-account]");
  if (account) headers["Sidekick-Account"] = account.content;
  if (liveTag && !anew) headers["If-None-Match"] = liveTag;
  const answer = await fetch(live, { headers, signal: AbortSignal.timeout(15_000) });
  document.dispatchEvent(new CustomEvent("sidekick:reached"));
  const elsewhere = answer.headers.get("HX-Redirect");
  if (elsewhere) loadPage(elsewhere, await answer.text());
  else if (answer.status === 304) confirm(answer.headers);
  else if (!answer.ok) throw new Error(answer.status);
  else {
    const html = await answer.text();
    // A filter that was chosen meanwhile has brought other cards and another table.
    if (!element.isConnected || isInUse(element)) return;
    show(element, html);
    confirm(answer.headers);
  }
};

const refresh = async (element, anew) => {
  const state = stateOf(element);
  state.busy = true;
  try {
    await ask(element, anew);
    state.failures = 0;
  } catch {
    state.failures += 1;
  }
  state.at = Date.now();
  state.busy = false;
};

// A region that is behind follows as soon as nobody reads it.
const canCatchUp = (element) =>
  !stateOf(element).failures && [...document.querySelectorAll("[data-live-behind]")].some((region) => !isInUse(region));

// The age of what is shown counts from when it came, seen or not.
const check = () => {
  for (const element of document.querySelectorAll("[data-live]")) {
    if (document.hidden || stateOf(element).busy || isInUse(element)) continue;
    const anew = canCatchUp(element);
    if (anew || isDue(element)) refresh(element, anew);
  }
};

check();
setInterval(check, 1000);
document.addEventListener("visibilitychange", check);
