"""Settings that are refused. Each case starts a process of its own, as a server would."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
from django.conf import settings

PRODUCTION = {
    "ENVIRONMENT": "production",
    "SECRET_KEY": "x" * 60,
    "DATABASE_URL": "postgresql://sidekick@localhost/none",
    "SITE_URL": "https://app.example.com",
    "EMAIL_HOST": "smtp.example.com",
    "TRUSTED_PROXIES": "1",
    "PADDLE_WEBHOOK_SECRETS": "pdl_ntfset_" + "x" * 32,
    "PADDLE_API_KEY": "pdl_live_apikey_" + "x" * 32,
    "PADDLE_CLIENT_TOKEN": "live_" + "x" * 24,
}


def start(shown: str = "ALLOWED_HOSTS", /, **variables: str) -> subprocess.CompletedProcess[str]:
    """Load the WSGI application as granian does, then print a setting."""
    code = f"import sidekick.wsgi; from django.conf import settings; print(settings.{shown})"
    return run("-c", code, **variables)


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], **{k: v for k, v in variables.items() if v}}
    command = [sys.executable, *arguments]
    return subprocess.run(command, env=environment, cwd=settings.BASE_DIR, capture_output=True, text=True, check=False)


def refusal(outcome: subprocess.CompletedProcess[str]) -> str:
    """The exception that ended a process, without its traceback."""
    assert outcome.returncode != 0
    assert outcome.stdout == ""
    return outcome.stderr.rpartition("\ndjango.core.")[2]


def test_production_starts_with_everything_it_needs() -> None:
    assert start(**PRODUCTION).stdout.strip() == "['app.example.com']"


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"SECRET_KEY": ""}, "SECRET_KEY is not set"),
        ({"SECRET_KEY": "short"}, "SECRET_KEY is too short"),
        ({"DATABASE_URL": ""}, "DATABASE_URL is not set"),  # S2
        ({"SITE_URL": ""}, "SITE_URL is not set"),
        ({"SITE_URL": "http://app.example.com"}, "https://"),
        ({"EMAIL_HOST": ""}, "EMAIL_HOST is not set"),
        ({"TRUSTED_PROXIES": ""}, "TRUSTED_PROXIES is not set"),
        ({"TRUSTED_PROXIES": "two"}, "whole number"),
        ({"WEB_THREADS": "0"}, "WEB_THREADS is 0"),
        ({"PADDLE_WEBHOOK_SECRETS": ""}, "PADDLE_WEBHOOK_SECRETS is not set"),
        ({"PADDLE_WEBHOOK_SECRETS": "   "}, "PADDLE_WEBHOOK_SECRETS is not set"),
        ({"PADDLE_WEBHOOK_SECRETS": ","}, "empty secret"),
        ({"PADDLE_WEBHOOK_SECRETS": "pdl_ntfset_one_and_long, "}, "empty secret"),
        ({"PADDLE_WEBHOOK_SECRETS": "pdl_ntfset_one_and_long,short"}, "under 16 characters"),
        ({"PADDLE_WEBHOOK_MAX_AGE_SECONDS": "-1"}, "whole number"),
        ({"PADDLE_ENVIRONMENT": "simulator"}, "lets anyone pay with nothing"),
        ({"PADDLE_ENVIRONMENT": "test"}, "live, sandbox or simulator"),
        ({"PADDLE_API_KEY": ""}, "PADDLE_API_KEY is not set"),
        ({"PADDLE_API_KEY": "pdl_sdbx_apikey_x"}, "PADDLE_API_KEY is not of Paddle's live environment"),
        ({"PADDLE_ENVIRONMENT": "sandbox"}, "PADDLE_API_KEY is not of Paddle's sandbox environment"),
        ({"PADDLE_CLIENT_TOKEN": ""}, "PADDLE_CLIENT_TOKEN is not set"),
        ({"PADDLE_CLIENT_TOKEN": "test_x"}, "PADDLE_CLIENT_TOKEN is not of Paddle's live environment"),
        ({"SECRET_KEY_FALLBACKS": "x" * 60 + ",short"}, "SECRET_KEY is too short"),
        ({"LOG_LEVEL": "debug"}, "people's data"),
        ({"METRICS_TOKEN": "short"}, "can be guessed"),
        ({"DATABASE_STATEMENT_SECONDS": "soon"}, "whole number"),
        ({"DEBUG": "yes"}, "DEBUG"),
        ({"DEBUG": "perhaps"}, "yes or no"),
        ({"ENVIRONMENT": "staging"}, "development or production"),
        ({"ENVIRONMENT": "", "SECRET_KEY": ""}, "set ENVIRONMENT=production"),
    ],
)
def test_a_missing_or_unsafe_setting_stops_the_start_with_a_sentence(changed: dict[str, str], sentence: str) -> None:
    assert sentence in refusal(start(**{**PRODUCTION, **changed}))


def test_a_mistyped_url_of_a_database_is_not_shown() -> None:
    started = start(**PRODUCTION | {"DATABASE_URL": "postgres//app:s3cret@db/name"})
    assert "A database's URL can't be read" in started.stderr
    assert "s3cret" not in started.stderr


UNSAFE = {"SITE_URL": "", "EMAIL_HOST": "", "PADDLE_CLIENT_TOKEN": "test_x", "METRICS_TOKEN": "short"}


@pytest.mark.parametrize(
    "command", [("procrastinate", "worker"), ("migrate",), ("check", "--tag", "settings")], ids=lambda words: words[0]
)
def test_every_fault_is_said_at_once_by_worker_and_commands_too(command: tuple[str, ...]) -> None:
    said = run("manage.py", *command, **PRODUCTION | UNSAFE)
    served = start(**PRODUCTION | UNSAFE)
    assert said.returncode == 1
    for name in UNSAFE:
        [sentence] = re.findall(rf"^\?: \(settings.{name}\) .*$", refusal(served), re.MULTILINE)
        assert sentence in said.stderr


def test_production_never_starts_the_embedded_database() -> None:  # S2
    said = run("manage.py", "check", "--tag", "settings", **PRODUCTION | {"DATABASE_URL": ""})
    assert said.returncode == 1
    assert "DATABASE_URL is not set" in said.stderr


def test_loading_the_settings_starts_no_database() -> None:
    outcome = run(
        "-c",
        "import django; django.setup(); from django.conf import settings; print(settings.DATABASES)",
        DJANGO_SETTINGS_MODULE="sidekick.settings",
    )
    assert "'NAME': ''" in outcome.stdout


def test_a_secret_that_begins_with_a_dollar_is_taken_as_it_is() -> None:
    """django-environ would look for a variable of that name."""
    secret = "$HOME is $where \\$x " + "x" * 40
    assert start("SECRET_KEY", **PRODUCTION | {"SECRET_KEY": secret}).stdout == f"{secret}\n"


def test_more_hosts_may_be_allowed() -> None:
    outcome = start(**PRODUCTION, ALLOWED_HOSTS="www.example.com, example.com")
    assert outcome.stdout.strip() == "['app.example.com', 'www.example.com', 'example.com']"


def test_two_webhook_secrets_may_be_set_while_one_is_rotated() -> None:  # P1
    pair = {**PRODUCTION, "PADDLE_WEBHOOK_SECRETS": "pdl_ntfset_the_old_one, pdl_ntfset_the_new_one"}
    assert start("PADDLE_WEBHOOK_SECRETS", **pair).stdout.strip() == (
        "['pdl_ntfset_the_old_one', 'pdl_ntfset_the_new_one']"
    )


DEVELOPMENT = {"DATABASE_URL": "postgresql:///none"}


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        (
            {"SITE_URL": "https://preview.example.com", "SECRET_KEY": "x" * 60, "PADDLE_ENVIRONMENT": "simulator"},
            "for this machine only",
        ),
        ({"PADDLE_SIMULATOR_URL": "https://paddle.example.com"}, "an address of this machine"),
        ({"PADDLE_ENVIRONMENT": "sandbox"}, "PADDLE_API_KEY is not set"),
    ],
)
def test_the_simulator_serves_this_machine_and_nobody_else(variables: dict[str, str], sentence: str) -> None:  # P7
    assert sentence in refusal(start(**DEVELOPMENT, **variables))


def test_development_runs_against_the_simulator_ten_ports_above() -> None:  # P7 S1
    assert start("PADDLE_API_URL", **DEVELOPMENT, PORT="8001").stdout.strip() == "http://localhost:8011"


def test_staging_runs_against_the_sandbox() -> None:
    keys = {"PADDLE_API_KEY": "pdl_sdbx_apikey_x", "PADDLE_CLIENT_TOKEN": "test_x", "PADDLE_ENVIRONMENT": "sandbox"}
    assert start("PADDLE_API_URL", **{**PRODUCTION, **keys}).stdout.strip() == "https://sandbox-api.paddle.com"


def test_an_image_is_built_without_secrets_and_with_the_files_of_production() -> None:  # O5
    shown = "STORAGES['staticfiles']['BACKEND'], settings.DATABASES['default']['NAME']"
    outcome = start(shown, ENVIRONMENT="build")
    assert "Manifest" in outcome.stdout
    assert outcome.stdout.endswith(" \n")


def test_behind_a_pooler_nothing_outlives_a_transaction() -> None:  # O5
    shown = (
        "DATABASES['default']['OPTIONS'].get('options'), settings.DATABASES['default']['DISABLE_SERVER_SIDE_CURSORS']"
    )
    limited = {**PRODUCTION, "DATABASE_STATEMENT_SECONDS": "30"}
    direct = start(shown, **limited).stdout.strip()
    assert direct == "-c statement_timeout=30s -c idle_in_transaction_session_timeout=120s False"
    assert start(shown, **limited, DATABASE_POOLED="yes").stdout.strip() == "None True"


def test_what_the_url_says_of_the_connection_counts() -> None:
    url = "postgresql://sidekick@localhost/none?connect_timeout=9&options=-c%20lock_timeout%3D1s"
    shown = "DATABASES['default']['OPTIONS']"
    options = start(shown, **{**PRODUCTION, "DATABASE_URL": url, "DATABASE_STATEMENT_SECONDS": "30"}).stdout
    assert "'connect_timeout': '9'" in options
    assert "'options': '-c lock_timeout=1s -c statement_timeout=30s" in options


# The webhook for reports

HOOK = {"FEEDBACK_WEBHOOK_URL": "https://hooks.example.com/r", "FEEDBACK_WEBHOOK_SECRET": "x" * 16}


@pytest.mark.parametrize(
    ("environment", "changed", "sentence"),
    [
        (PRODUCTION, {"FEEDBACK_WEBHOOK_SECRET": ""}, "set both or none"),
        (DEVELOPMENT, {"FEEDBACK_WEBHOOK_URL": ""}, "set both or none"),
        (PRODUCTION, {"FEEDBACK_WEBHOOK_URL": "http://hooks.example.com/r"}, "must start with https://"),
        (DEVELOPMENT, {"FEEDBACK_WEBHOOK_URL": "hooks.example.com"}, "starts with https://"),
        (PRODUCTION, {"FEEDBACK_WEBHOOK_SECRET": "x" * 15}, "under 16 characters"),
        (DEVELOPMENT, {"FEEDBACK_WEBHOOK_SECRET": "whsec_a text instead of base64, long enough"}, "base64 of at least"),
    ],
)
def test_half_a_webhook_or_an_unsafe_one_stops_the_start(
    environment: dict[str, str], changed: dict[str, str], sentence: str
) -> None:  # F6
    assert sentence in refusal(start(**{**environment, **HOOK, **changed}))


@pytest.mark.parametrize(
    "variables",
    [HOOK, {**HOOK, "FEEDBACK_WEBHOOK_SECRET": "whsec_" + "k0y/" * 10 + "AA=="}, {}],
    ids=["with", "with a standard secret", "without"],
)
def test_with_both_or_neither_it_starts(variables: dict[str, str]) -> None:  # F6
    outcome = start("FEEDBACK_WEBHOOK_URL", **{**PRODUCTION, **variables})
    assert outcome.returncode == 0, outcome.stderr
    assert outcome.stdout.strip() == variables.get("FEEDBACK_WEBHOOK_URL", "")
