"""Letters, and what an account says about them. Columns with defaults of the database: no row is written again."""

import uuid

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models
from django.db.models import F, Q


class Migration(migrations.Migration):
    dependencies = [("accounts", "0002_cache_table")]

    operations = [
        migrations.AddField(
            model_name="user",
            name="balance_emails",
            field=models.BooleanField(
                db_default=True,
                default=True,
                help_text="Whether running low on credits is worth an email.",
                verbose_name="low-balance emails",
            ),
        ),
        migrations.AddField(
            model_name="user",
            name="deleted_at",
            field=models.DateTimeField(editable=False, help_text="When its owner deleted it.", null=True),
        ),
        migrations.CreateModel(
            name="Letter",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("template", models.CharField(max_length=100)),
                (
                    "key",
                    models.CharField(
                        help_text="What it is about; never written twice.", max_length=200, null=True, unique=True
                    ),
                ),
                ("to", models.EmailField(max_length=254)),
                ("subject", models.CharField(max_length=200)),
                ("text", models.TextField(blank=True)),
                ("html", models.TextField(blank=True)),
                (
                    "unsubscribe",
                    models.CharField(blank=True, help_text="The address that one click posts to.", max_length=300),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("expires_at", models.DateTimeField(help_text="When it is of no use any more.", null=True)),
                (
                    "due_at",
                    models.DateTimeField(
                        default=django.utils.timezone.now, help_text="When it is next tried; empty: never.", null=True
                    ),
                ),
                ("sent_at", models.DateTimeField(null=True)),
                ("attempts", models.PositiveSmallIntegerField(default=0)),
                (
                    "error",
                    models.CharField(
                        blank=True, help_text="Why it could not be sent, in a word or a number.", max_length=100
                    ),
                ),
                (
                    "account",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="letters",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "ordering": ["-created_at"],
                "indexes": [
                    models.Index("due_at", condition=Q(due_at__isnull=False), name="letter_due"),
                    models.Index("account", F("created_at").desc(), name="letter_of_account"),
                    models.Index("created_at", name="letter_written"),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=Q(due_at__isnull=False, sent_at=None)
                        | (Q(due_at=None) & (Q(sent_at__isnull=False) ^ ~Q(error=""))),
                        name="letter_waits_or_is_done",
                    ),
                    models.CheckConstraint(
                        condition=Q(sent_at=None) | Q(text="", html="", unsubscribe=""),
                        name="letter_sent_keeps_no_body",
                    ),
                ],
            },
        ),
    ]
