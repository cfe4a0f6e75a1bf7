// [data-live] refreshes itself from that address every [data-live-every] seconds while somebody can see it.
// `Sidekick-Poll` tells the server that no person asked: a poll does not prolong a session (A6).

const loaded = new WeakMap();

const refresh = (element) => {
  loaded.set(element, Date.now());
  htmx.ajax("GET", element.dataset.live, {
    source: element,
    target: element,
    swap: "outerHTML",
    headers: { "Sidekick-Poll": "1" },
  });
};

const check = () => {
  if (document.hidden) return;
  for (const element of document.querySelectorAll("[data-live]")) {
    if (!loaded.has(element)) loaded.set(element, Date.now());
    const age = Date.now() - loaded.get(element);
    if (age >= Number(element.dataset.liveEvery) * 1000 && !element.contains(document.activeElement)) refresh(element);
  }
};

setInterval(check, 1000);
document.addEventListener("visibilitychange", check);
