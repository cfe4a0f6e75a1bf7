"""Operators look through purchases newest first; the index is built while customers go on buying."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("billing", "0006_credits_sold_at_once")]

    operations = [
        # An index that a broken try left behind is unusable, and in the way of the next.
        migrations.RunSQL("DROP INDEX CONCURRENTLY IF EXISTS purchase_created", migrations.RunSQL.noop),
        AddIndexConcurrently(
            model_name="purchase",
            index=models.Index("created_at", name="purchase_created"),
        ),
    ]
