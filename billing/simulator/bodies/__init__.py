"""The bodies of calls, by subject. The API refuses an unknown, missing or mistyped field, as Paddle does."""
