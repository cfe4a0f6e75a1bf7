// Each request tells which account its page was drawn for; the server refuses it once another one is signed in. The CSRF
// token is that of now: a sign-in in another tab changes it, and a page of the same account is not too old for that.
const meta = document.querySelector("meta[name=sidekick-account]");
const cookie = (name) => document.cookie.split("; ").find((each) => each.startsWith(`${name}=`))?.slice(name.length + 1);

document.addEventListener(
  "submit",
  ({ target }) => {
    const field = target.elements.namedItem("csrfmiddlewaretoken");
    const token = meta && cookie(meta.dataset.csrfCookie);
    if (field && token) field.value = token;
  },
  { capture: true },
);

document.addEventListener("htmx:configRequest", ({ detail }) => {
  if (meta) detail.headers["Sidekick-Account"] = meta.content;
});

// The refusal leads to the page anew. Its words wait for that in this tab; each tab has a storage of its own.
const WORDS = "sidekick-words";
// A browser may refuse to keep anything; the page then comes without the words.
const keep = (words) => {
  try {
    if (words) sessionStorage.setItem(WORDS, words);
  } catch {}
};
const take = () => {
  try {
    const words = sessionStorage.getItem(WORDS);
    sessionStorage.removeItem(WORDS);
    return words;
  } catch {
    return null;
  }
};

document.addEventListener("htmx:beforeOnLoad", ({ detail: { xhr } }) => {
  if (xhr.getResponseHeader("HX-Redirect")) keep(xhr.responseText);
});
document.addEventListener("sidekick:load-page", ({ detail }) => {
  keep(detail.words);
  location.replace(detail.address);
});

// The admin has no toasts, but a list of messages.
const inAdmin = (words) => {
  const [list, line] = [document.createElement("ul"), document.createElement("li")];
  [list.className, line.className, line.textContent] = ["messagelist", "warning", words];
  line.setAttribute("role", "status");
  list.append(line);
  document.getElementById("content-start")?.prepend(list);
};

const waiting = take();
if (waiting) {
  const template = document.getElementById("toast-words");
  const toast = template?.content.cloneNode(true);
  if (toast) {
    toast.querySelector("p").textContent = waiting;
    document.getElementById("toasts").append(toast);
  } else inAdmin(waiting);
}
