// [data-live] refreshes itself from that address every [data-live-every] seconds while somebody can see it.
// `Sidekick-Poll` tells the server that no person asked: a poll does not prolong a session (A6). [data-live-tag] names
// what stands here already: as long as nothing changed the answer is 304, and only the time moves on.

const LONGEST = 600;
const asked = new WeakMap();

const stateOf = (element) => {
  if (!asked.has(element)) asked.set(element, { at: Date.now(), failures: 0, busy: false });
  return asked.get(element);
};

// Each failure doubles the wait: a server in trouble should not be asked by every open tab.
const isDue = (element) => {
  const { at, failures, busy } = stateOf(element);
  const every = Math.max(Math.min(element.dataset.liveEvery * 2 ** failures, LONGEST), element.dataset.liveEvery);
  return !busy && Date.now() - at >= every * 1000;
};

// A swap would take away what somebody has selected, or the focus where nothing says whom to give it back to.
const isInUse = (element) => {
  const { activeElement } = document;
  if (element.contains(activeElement) && !activeElement.id) return true;
  const selection = getSelection();
  return !selection.isCollapsed && element.contains(selection.anchorNode);
};

const noticesIn = (element) => [...element.querySelectorAll("[data-notice]")];

const show = (element, html) => {
  const { id } = element;
  const known = new Set(noticesIn(element).map(({ dataset }) => dataset.notice));
  htmx.swap(element, html, { swapStyle: "outerHTML" });
  const news = noticesIn(document.getElementById(id) ?? document).filter(({ dataset }) => !known.has(dataset.notice));
  const words = news.map((notice) => notice.querySelector("p").textContent);
  if (words.length) document.getElementById("announcer").textContent = words.join(" ");
};

const confirm = (element, asOf) => {
  const time = element.querySelector("[data-as-of]");
  if (!time || !asOf) return;
  time.dateTime = asOf;
  time.textContent = asOf.slice(11, 19);
};

const ask = async (element) => {
  const { live, liveTag } = element.dataset;
  const headers = { "HX-Request": "true", "HX-Current-URL": location.href, "Sidekick-Poll": "1" };
  if (liveTag) headers["If-None-Match"] = liveTag;
  const answer = await fetch(live, { headers, signal: AbortSignal.timeout(15_000) });
  const elsewhere = answer.headers.get("HX-Redirect");
  if (elsewhere) location.assign(elsewhere);
  else if (answer.status === 304) confirm(element, answer.headers.get("Sidekick-As-Of"));
  else if (!answer.ok) throw new Error(answer.status);
  else {
    const html = await answer.text();
    if (element.isConnected && !isInUse(element)) show(element, html);
  }
};

const refresh = async (element) => {
  const state = stateOf(element);
  state.busy = true;
  try {
    await ask(element);
    state.failures = 0;
  } catch {
    state.failures += 1;
  }
  state.at = Date.now();
  state.busy = false;
};

// The age of what is shown counts from when it came, seen or not.
const check = () => {
  for (const element of document.querySelectorAll("[data-live]")) {
    if (isDue(element) && !document.hidden && !isInUse(element)) refresh(element);
  }
};

check();
setInterval(check, 1000);
document.addEventListener("visibilitychange", check);
