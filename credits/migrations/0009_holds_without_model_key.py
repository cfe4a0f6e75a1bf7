"""A hold no longer locks its model's row, and the price book can be copied to every machine. The audit finds what the
key would have refused."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("credits", "0008_holds")]

    operations = [
        migrations.AlterField(
            model_name="hold",
            name="model",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="credits.aimodel",
            ),
        )
    ]
