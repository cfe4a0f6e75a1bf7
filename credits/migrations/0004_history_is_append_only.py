"""Ledger entries and price versions can be added, never changed or deleted."""

from django.db import migrations

REFUSE = """
CREATE FUNCTION credits_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: add a row that corrects it', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON credits_ledgerentry
    FOR EACH ROW EXECUTE FUNCTION credits_refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON credits_modelprice
    FOR EACH ROW EXECUTE FUNCTION credits_refuse_change();
"""

ALLOW = """
DROP TRIGGER append_only ON credits_modelprice;
DROP TRIGGER append_only ON credits_ledgerentry;
DROP FUNCTION credits_refuse_change();
"""


class Migration(migrations.Migration):
    dependencies = [("credits", "0003_default_price_book")]
    operations = [migrations.RunSQL(REFUSE, ALLOW)]
