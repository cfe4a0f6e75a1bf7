"""Refusals of what a customer asked for, each in a sentence for the customer. Nothing was changed."""

from __future__ import annotations


class ActionRefused(Exception):
    """Something in billing can't be done now; `str()` says why."""


class ChangeRefused(ActionRefused):
    """The plan can't be changed, canceled, kept or resumed."""


class PurchaseRefused(ActionRefused):
    """A plan or additional credits can't be bought."""


class TooManyRequests(ActionRefused):
    """One customer asked Paddle so often that others would have to wait."""
