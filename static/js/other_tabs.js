// Tabs of one browser tell each other which account their pages are drawn for. A sign-out or another sign-in in one tab
// takes private pages of the others off the screen at once, instead of at their next request.
const mine = document.querySelector("meta[name=sidekick-account]")?.content;
const channel = new BroadcastChannel("sidekick-account");
const address = () => location.pathname + location.search;

const leave = (words, to = address()) => document.dispatchEvent(new CustomEvent("sidekick:leave", { detail: { words, address: to } }));

// The server knows best: a page may have been drawn a moment before a sign-in that it hears of.
const check = async () => {
  const page = document.documentElement;
  page.style.display = "none";
  const headers = { "HX-Request": "true", "HX-Current-URL": location.href, "Sidekick-Account": mine, "Sidekick-Poll": "1" };
  try {
    const answer = await fetch(address(), { headers });
    const to = answer.headers.get("HX-Redirect");
    if (answer.headers.get("Sidekick-Account") === mine) page.style.display = "";
    else leave(to && (await answer.text()), to ?? undefined);
  } catch {
    leave("");
  }
};

channel.addEventListener("message", ({ data }) => {
  if (mine === undefined || data === mine) return;
  if (mine) check();
  // A sign-in page leads on once somebody has signed in; nothing else changes for a visitor.
  else if (document.querySelector("[data-entrance]")) leave("");
});

if (mine !== undefined) channel.postMessage(mine);
document.addEventListener("sidekick:signed-out", () => channel.postMessage(""));

// Back may show a page as it was left, whoever is signed in now.
window.addEventListener("pageshow", ({ persisted }) => persisted && mine && check());
