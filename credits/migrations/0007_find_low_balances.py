"""Indexes that find touched wallets and ending periods without a scan, built while others go on writing."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("credits", "0006_touched_wallets")]

    operations = [
        AddIndexConcurrently(
            model_name="wallet",
            index=models.Index("account", condition=models.Q(touched=True), name="wallet_touched"),
        ),
        AddIndexConcurrently(
            model_name="creditperiod",
            index=models.Index("ends_at", condition=models.Q(closed_at=None), name="period_ending"),
        ),
    ]
