// Tabs of one browser tell each other which account their pages are drawn for. A sign-out or another sign-in in one tab
// takes private pages of the others off the screen at once, instead of at their next request.
const mine = document.querySelector("meta[name=sidekick-account]")?.content;
const channel = new BroadcastChannel("sidekick-account");
const here = () => location.pathname + location.search;

const loadPage = (address, words) => document.dispatchEvent(new CustomEvent("sidekick:load-page", { detail: { address, words } }));

// The server knows best: a page may have been drawn a moment before a sign-in that it hears of.
const check = async () => {
  const page = document.documentElement;
  page.style.display = "none";
  const headers = { "HX-Request": "true", "HX-Current-URL": location.href, "Sidekick-Account": mine, "Sidekick-Poll": "1" };
  try {
    const answer = await fetch(here(), { headers, signal: AbortSignal.timeout(15_000) });
    const to = answer.headers.get("HX-Redirect");
    if (answer.headers.get("Sidekick-Account") === mine) page.style.display = "";
    else loadPage(to ?? here(), to && (await answer.text()));
  } catch {
    loadPage(here());
  }
};

channel.addEventListener("message", ({ data }) => {
  if (mine === undefined || data === mine) return;
  if (mine) check();
  // A sign-in page leads on once somebody has signed in; nothing else changes for a visitor.
  else if (document.querySelector("[data-entrance]")) loadPage(here());
});

if (mine !== undefined) channel.postMessage(mine);
document.addEventListener("sidekick:signed-out", () => channel.postMessage(""));

// Back may show a page as it was left, whoever is signed in now.
window.addEventListener("pageshow", ({ persisted }) => persisted && mine && check());
