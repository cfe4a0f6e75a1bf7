"""Operators look through accounts and sessions newest first; the indexes are built while customers go on signing in."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("accounts", "0005_request_counts")]

    operations = [
        # An index that a broken try left behind is unusable, and in the way of the next.
        migrations.RunSQL("DROP INDEX CONCURRENTLY IF EXISTS user_joined", migrations.RunSQL.noop),
        AddIndexConcurrently(
            model_name="user",
            index=models.Index("date_joined", name="user_joined"),
        ),
        migrations.RunSQL("DROP INDEX CONCURRENTLY IF EXISTS device_session_started", migrations.RunSQL.noop),
        AddIndexConcurrently(
            model_name="devicesession",
            index=models.Index("created_at", name="device_session_started"),
        ),
    ]
