"""Free, Starter and Pro, as the owner set them."""

from django.db import migrations

PLANS = [
    {"slug": "free", "name": "Free", "position": 1, "monthly_credits": 50, "rollover_percent": 0},
    {"slug": "starter", "name": "Starter", "position": 2, "monthly_credits": 250},
    {"slug": "pro", "name": "Pro", "position": 3, "monthly_credits": 1000, "may_buy_credits": True},
]


def add(apps, schema_editor):
    plan = apps.get_model("credits", "Plan")
    plan.objects.bulk_create([plan(**row) for row in PLANS])


def remove(apps, schema_editor):
    apps.get_model("credits", "Plan").objects.filter(slug__in=[row["slug"] for row in PLANS]).delete()


class Migration(migrations.Migration):
    dependencies = [("credits", "0001_ledger_and_usage")]
    operations = [migrations.RunPython(add, remove)]
