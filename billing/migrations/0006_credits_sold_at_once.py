"""1 to 300 additional credits at once, as the owner set it."""

from django.db import migrations


def limit(apps, schema_editor):
    apps.get_model("billing", "PlanPrice").objects.filter(interval="credit").update(most=300)


class Migration(migrations.Migration):
    dependencies = [("billing", "0005_owners_and_purchases")]
    operations = [migrations.RunPython(limit, migrations.RunPython.noop)]
