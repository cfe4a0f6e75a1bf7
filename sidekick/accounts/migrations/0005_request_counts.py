"""Where the API counts requests. Unlogged: a count is worth no write-ahead log, and a crash may forget it.

`fillfactor` leaves room in each page, so that counting updates a row in place and touches no index.
"""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("accounts", "0004_users_are_called_accounts")]

    operations = [
        migrations.RunSQL(
            """
            CREATE UNLOGGED TABLE accounts_request_count (
                caller varchar(64) NOT NULL PRIMARY KEY, starts_at timestamptz NOT NULL, requests integer NOT NULL
            ) WITH (fillfactor = 50)
            """,
            "DROP TABLE accounts_request_count",
        )
    ]
