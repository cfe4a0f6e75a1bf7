"""The table of the database cache, as `createcachetable` makes it: `migrate` alone has to be enough."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("accounts", "0001_users_and_device_sessions")]

    operations = [
        migrations.RunSQL(
            """
            CREATE TABLE IF NOT EXISTS cache (
                cache_key varchar(255) NOT NULL PRIMARY KEY, value text NOT NULL, expires timestamptz NOT NULL
            );
            CREATE INDEX IF NOT EXISTS cache_expires ON cache (expires);
            """,
            "DROP TABLE IF EXISTS cache",
        )
    ]
