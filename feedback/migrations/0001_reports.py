"""Reports, their images, their history and what is told to the team's webhook."""

import uuid

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Report",
            fields=[
                ("number", models.BigAutoField(primary_key=True, serialize=False)),
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                (
                    "account_email",
                    models.EmailField(help_text="The account's address when it was sent.", max_length=254),
                ),
                ("kind", models.CharField(choices=[("bug", "Bug"), ("feature", "Feature request")], max_length=10)),
                ("title", models.CharField(max_length=120)),
                ("description", models.TextField(max_length=5000)),
                (
                    "priority",
                    models.CharField(choices=[("low", "Low"), ("medium", "Medium"), ("high", "High")], max_length=10),
                ),
                (
                    "page",
                    models.CharField(blank=True, help_text="The page of the dashboard they came from.", max_length=200),
                ),
                ("browser", models.CharField(blank=True, help_text="What the browser calls itself.", max_length=300)),
                (
                    "app_version",
                    models.CharField(blank=True, help_text="Of the Sidekick app, as the customer said.", max_length=40),
                ),
                (
                    "token",
                    models.UUIDField(
                        editable=False, help_text="Of the form and what was typed: sent again it is no other."
                    ),
                ),
                (
                    "digest",
                    models.CharField(editable=False, help_text="SHA-256 of title and description.", max_length=64),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("new", "New"),
                            ("triaged", "Triaged"),
                            ("planned", "Planned"),
                            ("in_progress", "In progress"),
                            ("done", "Done"),
                            ("declined", "Declined"),
                        ],
                        default="new",
                        max_length=20,
                    ),
                ),
                ("reply", models.TextField(blank=True, help_text="The customer reads this.", max_length=5000)),
                ("note", models.TextField(blank=True, help_text="Only operators read this.", max_length=5000)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("changed_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                (
                    "account",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="reports",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "ordering": ["-created_at", "-number"],
            },
        ),
        migrations.CreateModel(
            name="ReportChange",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("new", "New"),
                            ("triaged", "Triaged"),
                            ("planned", "Planned"),
                            ("in_progress", "In progress"),
                            ("done", "Done"),
                            ("declined", "Declined"),
                        ],
                        help_text="From then on.",
                        max_length=20,
                    ),
                ),
                (
                    "was",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("new", "New"),
                            ("triaged", "Triaged"),
                            ("planned", "Planned"),
                            ("in_progress", "In progress"),
                            ("done", "Done"),
                            ("declined", "Declined"),
                        ],
                        help_text="Until then.",
                        max_length=20,
                    ),
                ),
                ("reply", models.TextField(blank=True, help_text="What the customer was told then, if anything new.")),
                ("reason", models.TextField(blank=True, help_text="Why, for operators.")),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "report",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="changes",
                        to="feedback.report",
                    ),
                ),
            ],
            options={
                "ordering": ["id"],
            },
        ),
        migrations.CreateModel(
            name="ReportImage",
            fields=[
                ("number", models.BigAutoField(primary_key=True, serialize=False)),
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ("form_token", models.UUIDField(help_text="Of the form it was chosen in.")),
                ("name", models.CharField(help_text="What the customer's file was called.", max_length=100)),
                ("content", models.BinaryField()),
                ("media_type", models.CharField(max_length=20)),
                ("width", models.PositiveIntegerField()),
                ("height", models.PositiveIntegerField()),
                ("size", models.PositiveIntegerField(help_text="In bytes.")),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "account",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "report",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="images",
                        to="feedback.report",
                    ),
                ),
            ],
            options={
                "ordering": ["number"],
            },
        ),
        migrations.CreateModel(
            name="Delivery",
            fields=[
                (
                    "change",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="delivery",
                        serialize=False,
                        to="feedback.reportchange",
                    ),
                ),
                ("attempts", models.PositiveSmallIntegerField(default=0)),
                ("delivered_at", models.DateTimeField(null=True)),
                ("error", models.CharField(blank=True, help_text="Why the last attempt failed.", max_length=200)),
                (
                    "report",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="deliveries", to="feedback.report"
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "deliveries",
                "ordering": ["-change_id"],
            },
        ),
        migrations.AddIndex(
            model_name="reportchange",
            index=models.Index(models.F("report"), models.F("id"), name="report_change_newest"),
        ),
        migrations.AddConstraint(
            model_name="reportchange",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("by", None), ("was", "")),
                    models.Q(("by__isnull", False), models.Q(("reason", ""), _negated=True)),
                    _connector="OR",
                ),
                name="report_change_for_a_reason",
            ),
        ),
        migrations.AddIndex(
            model_name="report",
            index=models.Index(
                models.F("account"),
                models.OrderBy(models.F("created_at"), descending=True),
                models.OrderBy(models.F("number"), descending=True),
                name="report_newest",
            ),
        ),
        migrations.AddIndex(
            model_name="report",
            index=models.Index(
                models.F("status"), models.OrderBy(models.F("created_at"), descending=True), name="report_status"
            ),
        ),
        migrations.AddConstraint(
            model_name="report",
            constraint=models.UniqueConstraint(fields=("account", "token"), name="report_once_per_form"),
        ),
        migrations.AddConstraint(
            model_name="report",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("title", ""), _negated=True), models.Q(("description", ""), _negated=True)
                ),
                name="report_says_something",
            ),
        ),
        migrations.AddIndex(
            model_name="reportimage",
            index=models.Index(
                models.F("account"),
                models.F("form_token"),
                condition=models.Q(("report", None)),
                name="report_image_kept",
            ),
        ),
        migrations.AddIndex(
            model_name="reportimage",
            index=models.Index(
                models.F("created_at"), condition=models.Q(("report", None)), name="report_image_abandoned"
            ),
        ),
        migrations.AddConstraint(
            model_name="reportimage",
            constraint=models.CheckConstraint(
                condition=models.Q(("media_type__in", ["image/png", "image/jpeg", "image/webp"])),
                name="report_image_of_a_known_type",
            ),
        ),
        migrations.AddIndex(
            model_name="delivery",
            index=models.Index(
                models.F("report"), condition=models.Q(("delivered_at", None)), name="report_undelivered"
            ),
        ),
    ]
