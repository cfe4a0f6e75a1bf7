"""A mark that usage leaves on a wallet. The default is the database's: no row is written, and the release before this
one goes on inserting wallets without it."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("credits", "0005_restored_credits")]

    operations = [
        migrations.AddField(
            model_name="wallet",
            name="touched",
            field=models.BooleanField(
                db_default=False, default=False, help_text="Used lately, and not yet looked at for a low balance."
            ),
        )
    ]
