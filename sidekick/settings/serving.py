"""The threads of a web process, and how long it waits for a request's body."""

from sidekick.settings.environment import env

# Each holds a connection to PostgreSQL. Half of them may wait for another company's server (`serving/shares.py`).
WEB_THREADS = env.int("WEB_THREADS", default=8)
# For a small body; a larger one gets a second more for each 64 KiB.
BODY_SECONDS = env.int("BODY_SECONDS", default=30)
