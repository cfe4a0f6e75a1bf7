"""Accounts, their signed-in devices, their emails, and the backend's service keys."""

from __future__ import annotations

import hashlib
import secrets
import uuid
from collections.abc import Iterable
from datetime import datetime
from typing import Any, ClassVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone

from sidekick.email_addresses import normalised


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None = None, **extra: Any) -> User:
        user = self.model(email=normalised(email), **extra)
        user.set_password(password)
        user.save()
        return user

    def create_superuser(self, email: str, password: str | None = None, **extra: Any) -> User:
        return self.create_user(email, password, is_staff=True, is_superuser=True, **extra)

    def named(self, text: str) -> User | None:
        """Returns the account with this email or id, or None."""
        try:
            return self.filter(id=uuid.UUID(text)).first()
        except ValueError:
            return self.with_email(text).first()

    def with_email(self, typed: str) -> models.QuerySet[User]:
        """Returns the account with this email, in any of its spellings: one or none."""
        try:
            return self.filter(email=normalised(typed))
        except ValidationError:
            return self.none()

    def get_by_natural_key(self, username: str | None) -> User:
        return self.with_email(username or "").get()


class User(AbstractBaseUser, PermissionsMixin):
    """A customer's account, or an operator (`is_staff`). An account is one user (for now)."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    email = models.EmailField(unique=True)
    name = models.CharField(max_length=150, blank=True)
    time_zone = models.CharField(max_length=64, default="UTC", help_text="IANA name; days on screen follow it.")
    is_active = models.BooleanField(default=True)
    is_staff = models.BooleanField("operator", default=False)
    date_joined = models.DateTimeField(default=timezone.now, editable=False)
    deleted_at = models.DateTimeField(null=True, editable=False, help_text="When its owner deleted it.")
    # Defaults of the database too: while a release rolls out, the one before inserts rows without them.
    balance_emails = models.BooleanField(
        "low-balance emails",
        default=True,
        db_default=True,
        help_text="Whether running low on credits is worth an email.",
    )

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"

    class Meta:
        verbose_name = "account"
        indexes = [models.Index("date_joined", name="user_joined")]
        constraints = [models.UniqueConstraint(Lower("email"), name="user_email_once_in_any_case")]

    def __str__(self) -> str:
        return self.email

    @property
    def zone(self) -> ZoneInfo:
        """UTC where the name is unknown here."""
        try:
            return ZoneInfo(self.time_zone)
        # A name may also be that of a folder of zones ("Europe"), or too long for one of a file.
        except (ZoneInfoNotFoundError, ValueError, OSError):
            return ZoneInfo("UTC")


class DeviceSessionQuerySet(models.QuerySet["DeviceSession"]):
    def live(self, now: datetime | None = None) -> DeviceSessionQuerySet:
        """Sessions a token may still speak for: not ended, used lately, not too old."""
        now = now or timezone.now()
        # No join, so that an UPDATE of these rows stays one statement on one table (see `device_sessions.rotate`).
        return self.filter(
            revoked_at=None,
            last_seen__gt=now - settings.SESSION_IDLE_LIMIT,
            created_at__gt=now - settings.SESSION_ABSOLUTE_LIMIT,
        )

    def with_active_user(self) -> DeviceSessionQuerySet:
        return self.filter(user__is_active=True).select_related("user")

    def owing_a_sibling(self, jti: uuid.UUID, now: datetime) -> DeviceSessionQuerySet:
        """Sessions in which this spent refresh token may have a second successor.

        It was spent within `REFRESH_REUSE_WINDOW`; or within `REFRESH_RETRY_WINDOW`, and the first was never used.
        """
        soon = models.Q(rotated_at__gte=now - settings.REFRESH_REUSE_WINDOW)
        lost = models.Q(rotated_at__gte=now - settings.REFRESH_RETRY_WINDOW, unused_jti=models.F("current_jti"))
        return self.filter(soon | lost, previous_jti=jti).exclude(sibling_for=jti)

    def end(self, because: DeviceSession.Ended, now: datetime | None = None) -> int:
        """End those which haven't ended yet, at once and everywhere; returns their number."""
        return self.filter(revoked_at=None).update(revoked_at=now or timezone.now(), revoked_because=because)


class DeviceSession(models.Model):
    """One signed-in device. Tokens name it in their `sid` claim; ending it ends them all at once (A4–A6).

    A refresh token has up to two successors, for two tabs or a lost answer. Of these one goes on, and the other, should
    it come later, was copied. `device_sessions.rotate` writes this down so that nothing has to be reset: a jti counts
    only beside those it was noted with.
    """

    class Ended(models.TextChoices):
        SIGNED_OUT = "signed_out", "signed out"
        SIGNED_IN_AGAIN = "signed_in_again", "signed in again on the same device"
        BY_CUSTOMER = "by_customer", "ended from another device"
        BY_OPERATOR = "by_operator", "ended by an operator"
        PASSWORD_CHANGED = "password_changed", "password changed"
        REUSE = "reuse", "a spent refresh token came back"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="device_sessions")
    current_jti = models.UUIDField(help_text="Of the refresh token that was handed out last.")
    previous_jti = models.UUIDField(null=True, blank=True, help_text="Of the one that was spent last.")
    sibling_jti = models.UUIDField(null=True, help_text="Of the other successor of `sibling_for`.")
    sibling_for = models.UUIDField(null=True, help_text="Of the last one that got two successors.")
    unused_jti = models.UUIDField(null=True, help_text="Of a successor that nobody has used, nor its access token.")
    rotated_at = models.DateTimeField(default=timezone.now, help_text="When a refresh token was last handed out.")
    created_at = models.DateTimeField(default=timezone.now)
    last_seen = models.DateTimeField(default=timezone.now)
    ip = models.GenericIPAddressField(null=True, blank=True)
    user_agent = models.CharField(max_length=300, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    revoked_because = models.CharField(max_length=40, blank=True, choices=Ended.choices)

    objects = DeviceSessionQuerySet.as_manager()

    class Meta:
        ordering = ["-last_seen"]
        indexes = [models.Index("created_at", name="device_session_started")]
        constraints = [
            models.CheckConstraint(
                name="device_session_ended_for_a_reason",
                condition=models.Q(revoked_at=None, revoked_because="")
                | (models.Q(revoked_at__isnull=False) & ~models.Q(revoked_because="")),
            )
        ]

    def __str__(self) -> str:
        return str(self.id)

    @staticmethod
    def unspent(jti: uuid.UUID) -> models.Q:
        """Whether a refresh token can be spent: it is the newest, or that one's sibling."""
        return models.Q(current_jti=jti) | models.Q(sibling_jti=jti, sibling_for=models.F("previous_jti"))

    @property
    def expires_at(self) -> datetime:
        """When it ends unless it is used again: the idle limit, or the absolute one if that comes first."""
        return min(self.last_seen + settings.SESSION_IDLE_LIMIT, self.over_at)

    @property
    def over_at(self) -> datetime:
        """When it ends however much it is used."""
        return self.created_at + settings.SESSION_ABSOLUTE_LIMIT


class LetterQuerySet(models.QuerySet["Letter"]):
    def due(self, now: datetime) -> LetterQuerySet:
        """Emails that still have to be sent and have waited long enough, longest first."""
        return self.filter(due_at__lte=now).order_by("due_at")


class Letter(models.Model):
    """An email and its delivery. Only `emails` and `delivery` write it.

    Once it is sent its bodies are gone: they may hold codes. The rest stays for the account's timeline.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    # The index of an account's emails starts with the account.
    account = models.ForeignKey(User, null=True, on_delete=models.CASCADE, related_name="letters", db_index=False)
    template = models.CharField(max_length=100)
    key = models.CharField(max_length=200, null=True, unique=True, help_text="What it is about; never written twice.")  # noqa: DJ001
    to = models.EmailField()
    subject = models.CharField(max_length=200)
    text = models.TextField(blank=True)
    html = models.TextField(blank=True)
    unsubscribe = models.CharField(max_length=300, blank=True, help_text="The address that one click posts to.")
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(null=True, help_text="When it is of no use any more.")
    due_at = models.DateTimeField(null=True, default=timezone.now, help_text="When it is next tried; empty: never.")
    sent_at = models.DateTimeField(null=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    error = models.CharField(max_length=100, blank=True, help_text="Why it could not be sent, in a word or a number.")

    objects = LetterQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.CheckConstraint(
                name="letter_waits_or_is_done",
                condition=models.Q(due_at__isnull=False, sent_at=None)
                | (models.Q(due_at=None) & (models.Q(sent_at__isnull=False) ^ ~models.Q(error=""))),
            ),
            models.CheckConstraint(
                name="letter_sent_keeps_no_body",
                condition=models.Q(sent_at=None) | models.Q(text="", html="", unsubscribe=""),
            ),
        ]
        indexes = [
            models.Index("due_at", name="letter_due", condition=models.Q(due_at__isnull=False)),
            models.Index("account", models.F("created_at").desc(), name="letter_of_account"),
            models.Index("created_at", name="letter_written"),
        ]

    def __str__(self) -> str:
        return str(self.id)


class ServiceKeyQuerySet(models.QuerySet["ServiceKey"]):
    def issue(self, name: str, *, scopes: Iterable[str]) -> tuple[ServiceKey, str]:
        """Returns a new key and its secret, which is shown only now."""
        secret = ServiceKey.PREFIX + secrets.token_urlsafe(32)
        key = self.create(name=name, digest=ServiceKey.digest_of(secret), hint=secret[:8], scopes=sorted(scopes))
        return key, secret

    def revoke(self) -> int:
        return self.filter(revoked_at=None).update(revoked_at=timezone.now())


class ServiceKey(models.Model):
    """A key of the AI backend. Only its SHA-256 is stored; a random key needs no slow hash."""

    PREFIX = "sk_"

    class Scope(models.TextChoices):
        USAGE_WRITE = "usage:write"
        CREDITS_READ = "credits:read"
        HOLDS_WRITE = "holds:write"

    name = models.CharField(max_length=100, unique=True)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    hint = models.CharField(max_length=12, editable=False, help_text="The key's first characters.")
    scopes = ArrayField(models.CharField(max_length=20, choices=Scope.choices))
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True)

    objects = ServiceKeyQuerySet.as_manager()

    def __str__(self) -> str:
        return self.name

    @staticmethod
    def digest_of(secret: str) -> str:
        return hashlib.sha256(secret.encode()).hexdigest()
