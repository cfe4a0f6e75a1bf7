"""Six models and the first version of their prices."""

from datetime import UTC, datetime

from django.db import migrations

VALID_FROM = datetime(2020, 1, 1, tzinfo=UTC)

# Credits per million tokens: input, output, cache read, cache write.
PRICES = {
    "claude-haiku-4-5": ("20", "100", "2", "25"),
    "claude-opus-4-1": ("300", "1500", "30", "375"),
    "claude-sonnet-4-5": ("60", "300", "6", "75"),
    "gemini-2.5-pro": ("25", "200", "6.25", "32.5"),
    "gpt-5": ("25", "200", "2.5", "25"),
    "gpt-5-mini": ("5", "40", "0.5", "5"),
}


def add(apps, schema_editor):
    ai_model = apps.get_model("credits", "AIModel")
    price = apps.get_model("credits", "ModelPrice")
    for name, figures in PRICES.items():
        version = dict(zip(("input", "output", "cache_read", "cache_write"), figures, strict=True))
        price.objects.create(model=ai_model.objects.create(name=name), valid_from=VALID_FROM, **version)


def remove(apps, schema_editor):
    apps.get_model("credits", "ModelPrice").objects.filter(model__name__in=PRICES).delete()
    apps.get_model("credits", "AIModel").objects.filter(name__in=PRICES).delete()


class Migration(migrations.Migration):
    dependencies = [("credits", "0002_default_plans")]
    operations = [migrations.RunPython(add, remove)]
