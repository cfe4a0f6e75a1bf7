// form[data-passkey]: asks the browser to make or to use a passkey, and sends what it answers with the form.
// #passkey-options holds the options, or the form names the address to fetch them from.

const failed = (form, shown) => {
  const words = form.querySelector("[data-passkey-failed]") ?? document.querySelector("[data-passkey-failed]");
  if (words) words.hidden = !shown;
};

const optionsOf = async (form) => {
  const url = form.dataset.passkeyOptions;
  if (!url) return JSON.parse(document.getElementById("passkey-options").textContent);
  const answer = await fetch(url, { headers: { Accept: "application/json", "X-Requested-With": "XMLHttpRequest" } });
  if (!answer.ok) throw new Error(answer.statusText);
  return (await answer.json()).request_options;
};

// A passkey that is to sign in by itself has to be found without a name and to know its owner.
const onItsOwn = (options) => {
  const wanted = { ...options.publicKey.authenticatorSelection, residentKey: "required", requireResidentKey: true, userVerification: "required" };
  return { publicKey: { ...options.publicKey, authenticatorSelection: wanted } };
};

// A form that is sent before this has loaded would carry nothing.
for (const button of document.querySelectorAll("[data-passkey-button]")) button.disabled = false;

const send = (form, answer) => {
  form.querySelector("[data-passkey-answer]").value = JSON.stringify(answer);
  form.submit();
};

// Where the browser can, it offers passkeys among the suggestions for the email; choosing one there signs in.
let suggesting = null;
const suggest = async (form) => {
  if (!(await window.PublicKeyCredential?.isConditionalMediationAvailable?.())) return;
  suggesting = new AbortController();
  try {
    send(form, await window.webauthnJSON.get({ ...(await optionsOf(form)), mediation: "conditional", signal: suggesting.signal }));
  } catch {
    // The visitor signs in another way, or pressed the button, which asks anew.
  }
};
const offered = document.querySelector('form[data-passkey="get"][data-passkey-options]');
if (offered && document.querySelector('input[autocomplete~="webauthn"]')) suggest(offered);

document.addEventListener("submit", async (event) => {
  const form = event.target.closest("form[data-passkey]");
  if (!form) return;
  event.preventDefault();
  failed(form, false);
  // A browser asks for one passkey at a time.
  suggesting?.abort();
  try {
    const options = await optionsOf(form);
    const { create, get } = window.webauthnJSON;
    const answer = form.dataset.passkey === "create" ? await create(onItsOwn(options)) : await get(options);
    send(form, answer);
  } catch {
    // The browser has told why already, or its owner changed their mind; it says no more to a page.
    failed(form, true);
  }
});
