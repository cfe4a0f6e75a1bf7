// The pay page with the real Paddle: its overlay opens by itself once, and again on the button.
// Its events only choose the page to show next; credits come with the signed webhook (B5).

const element = document.querySelector("[data-checkout]");
const { checkout: transactionId, environment, token, done, closed } = element?.dataset ?? {};

const theme = () => {
  const chosen = document.documentElement.dataset.theme;
  if (chosen !== "system") return chosen;
  return matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
};

const open = () =>
  window.Paddle.Checkout.open({
    transactionId,
    settings: {
      displayMode: "overlay",
      theme: theme(),
      allowLogout: false,
    },
  });

// Closing the overlay after a payment is reported as closing, too.
let paid = false;
const onEvent = ({ name }) => {
  if (name === "checkout.completed") {
    paid = true;
    location.assign(done);
  } else if (name === "checkout.closed" && !paid) {
    location.assign(closed);
  }
};

const start = () => {
  if (environment === "sandbox") window.Paddle.Environment.set("sandbox");
  window.Paddle.Initialize({ token, eventCallback: onEvent });
  const button = element.querySelector("[data-checkout-open]");
  button.disabled = false;
  // The second click of a double click would open it anew.
  button.addEventListener("click", ({ detail }) => detail > 1 || open());
  // With its own parameter in the address Paddle opens the checkout itself.
  if (!new URLSearchParams(location.search).has("_ptxn")) open();
};

if (element && window.Paddle) start();
else if (element) element.querySelector("[data-checkout-missing]").hidden = false;
