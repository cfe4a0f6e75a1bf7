"""Indexes that find touched wallets and ending periods without a scan, built while others go on writing."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("credits", "0006_touched_wallets")]

    operations = [
        # An index that a broken try left behind is unusable, and in the way of the next.
        migrations.RunSQL("DROP INDEX CONCURRENTLY IF EXISTS wallet_touched", migrations.RunSQL.noop),
        AddIndexConcurrently(
            model_name="wallet",
            index=models.Index("account", condition=models.Q(touched=True), name="wallet_touched"),
        ),
        migrations.RunSQL("DROP INDEX CONCURRENTLY IF EXISTS period_ending", migrations.RunSQL.noop),
        AddIndexConcurrently(
            model_name="creditperiod",
            index=models.Index("ends_at", condition=models.Q(closed_at=None), name="period_ending"),
        ),
    ]
