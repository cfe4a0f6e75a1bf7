"""Paddle's entities as it documents and sends them, by subject: every field, also those that never change here."""
