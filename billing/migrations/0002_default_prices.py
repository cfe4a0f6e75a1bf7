"""The prices of Free, Starter and Pro, and of an additional credit on Pro, as the owner set them."""

from django.db import migrations

PRICES = [("free", "month", 0), ("starter", "month", 1500), ("pro", "month", 3900), ("pro", "credit", 10)]


def add(apps, schema_editor):
    price = apps.get_model("billing", "PlanPrice")
    price.objects.bulk_create(
        [price(plan_id=plan, interval=interval, amount=amount, currency="USD") for plan, interval, amount in PRICES]
    )


def remove(apps, schema_editor):
    price = apps.get_model("billing", "PlanPrice")
    for plan, interval, _ in PRICES:
        price.objects.filter(plan_id=plan, interval=interval, currency="USD").delete()


class Migration(migrations.Migration):
    dependencies = [("billing", "0001_plan_prices"), ("credits", "0002_default_plans")]
    operations = [migrations.RunPython(add, remove)]
