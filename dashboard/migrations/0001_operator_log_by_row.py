"""The timeline asks Django's admin log for the lines of one row, which Django has no index for."""

from django.db import migrations


class Migration(migrations.Migration):
    # CREATE INDEX CONCURRENTLY locks no writer out, and runs in no transaction.
    atomic = False

    dependencies = [("admin", "0003_logentry_add_action_flag_choices")]

    operations = [
        migrations.RunSQL(
            [
                # An index that a broken try left behind is unusable, and would pass for the index.
                "DROP INDEX CONCURRENTLY IF EXISTS operator_log_by_row",
                """CREATE INDEX CONCURRENTLY operator_log_by_row
                ON django_admin_log (content_type_id, object_id, action_time DESC)""",
            ],
            "DROP INDEX CONCURRENTLY IF EXISTS operator_log_by_row",
        )
    ]
