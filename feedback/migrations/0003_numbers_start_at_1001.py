"""References have four digits from the first report on."""

from django.db import migrations

START = "ALTER SEQUENCE feedback_report_number_seq RESTART WITH 1001"


class Migration(migrations.Migration):
    dependencies = [("feedback", "0002_history_is_never_rewritten")]
    operations = [migrations.RunSQL(START, migrations.RunSQL.noop)]
