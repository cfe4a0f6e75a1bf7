"""Paddle: which one, its keys, and how long things may take."""

from datetime import timedelta

from csp.constants import SELF

from sidekick.settings.base import PORT, PRODUCTION
from sidekick.settings.environment import env

# The real Paddle, its sandbox, or a simulator on this machine, which production refuses (P7).
PADDLE_ENVIRONMENT = env.str("PADDLE_ENVIRONMENT", default="live" if PRODUCTION else "simulator")
PADDLE_SIMULATED = PADDLE_ENVIRONMENT == "simulator"
if PADDLE_SIMULATED:
    # Ten ports above ours, so that two checkouts of the code can run side by side.
    PADDLE_API_URL = env.str("PADDLE_SIMULATOR_URL", default=f"http://localhost:{PORT + 10}").rstrip("/")
    PADDLE_API_KEY, PADDLE_CLIENT_TOKEN = "pdl_simulator_apikey", "simulator_client_token"
    PADDLE_WEBHOOK_SECRETS = ["pdl_ntfset_of_the_simulator_on_this_machine"]
else:
    PADDLE_API_URL = {"live": "https://api.paddle.com", "sandbox": "https://sandbox-api.paddle.com"}.get(
        PADDLE_ENVIRONMENT, ""
    )
    PADDLE_API_KEY = env.str("PADDLE_API_KEY", default="")
    # `manage.py paddle_setup` makes these two, so development may start without them.
    PADDLE_CLIENT_TOKEN = env.str("PADDLE_CLIENT_TOKEN", default="")
    # One secret for each notification destination; two while Paddle rotates one. Whoever has one can forge payments.
    _secrets = env.str("PADDLE_WEBHOOK_SECRETS", default="")
    PADDLE_WEBHOOK_SECRETS = [secret.strip() for secret in _secrets.split(",")] if _secrets else []

# Paddle's checkout needs these, on the pay page only. Paddle publishes no list; working sites allow these.
_twin = "sandbox-" if PADDLE_ENVIRONMENT == "sandbox" else ""
PADDLE_CHECKOUT_POLICY = {
    "script-src": [SELF, "https://cdn.paddle.com"],
    "style-src": [SELF, "https://cdn.paddle.com", f"https://{_twin}cdn.paddle.com"],
    "img-src": ["https://cdn.paddle.com", f"https://{_twin}cdn.paddle.com"],
    "frame-src": [f"https://{_twin}buy.paddle.com"],
    "connect-src": [
        SELF,
        *(f"https://{_twin}{host}.paddle.com" for host in ("api", "create-checkout", "checkout-service")),
    ],
}

PADDLE_WEBHOOK_MAX_AGE = timedelta(seconds=env.int("PADDLE_WEBHOOK_MAX_AGE_SECONDS", default=300))
PADDLE_READ_SECONDS = env.int("PADDLE_READ_SECONDS", default=8)
PADDLE_WRITE_SECONDS = env.int("PADDLE_WRITE_SECONDS", default=30)
# Paddle refuses to charge less than this, in cents (B4).
PADDLE_MINIMUM_CHARGE = env.int("PADDLE_MINIMUM_CHARGE_CENTS", default=70)
# A plan stays for this long after a renewal that could not be paid (B7).
PAST_DUE_GRACE = timedelta(days=env.int("PAST_DUE_GRACE_DAYS", default=7))
