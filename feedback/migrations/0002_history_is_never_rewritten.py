"""The history of a report can be added to, never changed. It goes only with the report, when its account does."""

from django.db import migrations

REFUSE = """
CREATE FUNCTION feedback_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: add a row that corrects it', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER append_only BEFORE UPDATE ON feedback_reportchange
    FOR EACH ROW EXECUTE FUNCTION feedback_refuse_change();
"""

ALLOW = """
DROP TRIGGER append_only ON feedback_reportchange;
DROP FUNCTION feedback_refuse_change();
"""


class Migration(migrations.Migration):
    dependencies = [("feedback", "0001_reports")]
    operations = [migrations.RunSQL(REFUSE, ALLOW)]
