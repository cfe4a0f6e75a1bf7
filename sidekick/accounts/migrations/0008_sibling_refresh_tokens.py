"""Where a second successor of a refresh token is noted.

The columns are empty in rows of the release before, and stay so while it serves: to it a token has one successor, and
an empty `unused_jti` counts as used.
"""

import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0007_one_spelling_of_emails")]

    operations = [
        migrations.AddField(
            model_name="devicesession",
            name="sibling_for",
            field=models.UUIDField(help_text="Of the last one that got two successors.", null=True),
        ),
        migrations.AddField(
            model_name="devicesession",
            name="sibling_jti",
            field=models.UUIDField(help_text="Of the other successor of `sibling_for`.", null=True),
        ),
        migrations.AddField(
            model_name="devicesession",
            name="unused_jti",
            field=models.UUIDField(help_text="Of a successor that nobody has used, nor its access token.", null=True),
        ),
        # The rest is text for the admin.
        migrations.AlterField(
            model_name="devicesession",
            name="current_jti",
            field=models.UUIDField(help_text="Of the refresh token that was handed out last."),
        ),
        migrations.AlterField(
            model_name="devicesession",
            name="previous_jti",
            field=models.UUIDField(blank=True, help_text="Of the one that was spent last.", null=True),
        ),
        migrations.AlterField(
            model_name="devicesession",
            name="rotated_at",
            field=models.DateTimeField(
                default=django.utils.timezone.now, help_text="When a refresh token was last handed out."
            ),
        ),
    ]
