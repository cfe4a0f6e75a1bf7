"""Stored emails get the spelling that sign-in now looks for: a domain outside ASCII becomes its registered form."""

from __future__ import annotations

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

from sidekick.email_addresses import is_same_mailbox, normalised

OUTSIDE_ASCII = r"[^ -~]"


def respell(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    accounts = apps.get_model("accounts", "User").objects
    addresses = apps.get_model("account", "EmailAddress").objects
    for account in accounts.filter(email__regex=OUTSIDE_ASCII).iterator():
        # A second account of one mailbox, or a name that is another's in ASCII, stays for operators to look at.
        if not is_same_mailbox(account.email) or accounts.filter(email=normalised(account.email)).exists():
            continue
        if addresses.filter(email=normalised(account.email)).exists():
            continue
        addresses.filter(user=account, email=account.email).update(email=normalised(account.email))
        accounts.filter(pk=account.pk).update(email=normalised(account.email))


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0006_newest_first"),
        ("account", "0009_emailaddress_unique_primary_email"),
    ]

    operations = [migrations.RunPython(respell, migrations.RunPython.noop)]
