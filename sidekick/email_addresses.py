"""The one spelling in which an email address is stored, looked up and written to."""

from __future__ import annotations

import unicodedata

import idna
from django.core.exceptions import ValidationError
from django.core.validators import validate_domain_name, validate_email

from sidekick.text import without_hidden

LONGEST = 254


def normalised(typed: str) -> str:
    """Returns the address in lower case and ASCII, without space around it or invisible characters in it.

    Full-width and other compatible letters become the ordinary ones, a domain its registered form (`xn--…`, UTS 46).
    Raises `ValidationError` with a sentence about what is wrong. The result may be another mailbox than a provider
    verified for its owner: see `is_same_mailbox`.
    """
    # Compatible forms of a filler are fillers, too, hence twice.
    address = without_hidden(unicodedata.normalize("NFKC", without_hidden(typed))).strip().lower()
    if any(character.isspace() for character in address):
        raise ValidationError("Take the space out of the email address.", code="space")
    name, at, domain = address.rpartition("@")
    if not at or not name or not domain or "@" in name:
        raise ValidationError("Enter an email address like name@example.com.", code="invalid")
    foreign = next((character for character in name if not character.isascii()), "")
    if foreign and foreign.isprintable():
        raise ValidationError(f"We can’t send email to a name with “{foreign}” before the @.", code="foreign")
    address = f"{name}@{_registered(domain)}"
    if len(address) > LONGEST:
        raise ValidationError(f"An email address has at most {LONGEST} characters.", code="max_length")
    try:
        validate_email(address)
    except ValidationError as error:
        raise ValidationError("Enter an email address like name@example.com.", code="invalid") from error
    return address


def is_same_mailbox(verified: str) -> bool:
    """Whether an address that somebody else verified keeps its mailbox when it is `normalised`.

    Case apart, the name before the @ must be what it was: "ｍax" is nobody's "max", and a Kelvin sign no k. A domain
    may change its spelling, as all spellings lead to the same server.
    """
    try:
        address = normalised(verified)
    except ValidationError:
        return False
    name, _, domain = verified.rpartition("@")
    return name.isascii() and name.lower() == address.rpartition("@")[0] and without_hidden(domain) == domain


def _registered(domain: str) -> str:
    try:
        return idna.encode(domain, uts46=True).decode()
    except (idna.IDNAError, UnicodeError) as error:
        # IDNA keeps two hyphens in third place for itself, but there are such domains.
        if domain.isascii() and "xn--" not in domain and _is_domain(domain):
            return domain
        shown = f"“{domain}”" if domain.isprintable() else "This"
        raise ValidationError(f"{shown} is not a domain that email can go to.", code="domain") from error


def _is_domain(name: str) -> bool:
    try:
        validate_domain_name(name)
    except ValidationError:
        return False
    return True
