// Signing in: passwords that can be shown, and the email that was typed on one page is there on the next.

const buttons = (root) => root.querySelectorAll?.("[data-show-password]") ?? [];
const inputOf = (button) => document.getElementById(button.getAttribute("aria-controls"));

const show = (button, shown) => {
  const input = inputOf(button);
  input.type = shown ? "text" : "password";
  // A password that is shown is no text: nothing corrects it, and no spelling service reads it.
  Object.assign(input, { spellcheck: false, autocapitalize: "none" });
  button.setAttribute("aria-pressed", String(shown));
};

// The page comes with the buttons hidden, as they do nothing without this script.
const enhance = (root) => buttons(root).forEach((button) => (button.hidden = false));
enhance(document);
document.addEventListener("htmx:load", ({ target }) => enhance(target.parentElement ?? target));

document.addEventListener("click", ({ target }) => {
  const button = target.closest("[data-show-password]");
  if (button) show(button, button.getAttribute("aria-pressed") !== "true");
});
// Browsers remember what text fields held, and password managers look for passwords.
const hide = (root) => buttons(root).forEach((button) => show(button, false));
document.addEventListener("submit", ({ target }) => hide(target), { capture: true });
window.addEventListener("pagehide", () => hide(document));

// In this tab only, and only until somebody is signed in. A browser may refuse to keep anything.
const KEY = "sidekick:email";
const kept = {
  read: () => { try { return sessionStorage.getItem(KEY) ?? ""; } catch { return ""; } },
  write: (email) => { try { sessionStorage.setItem(KEY, email); } catch { /* The next page asks again. */ } },
  forget: () => { try { sessionStorage.removeItem(KEY); } catch { /* Nothing was kept. */ } },
};
if (document.getElementById("tabs")) kept.forget();
for (const field of document.querySelectorAll('.entrance-card input[inputmode="email"]')) {
  if (field.value) kept.write(field.value);
  else field.value = kept.read();
  field.addEventListener("input", () => kept.write(field.value));
}
