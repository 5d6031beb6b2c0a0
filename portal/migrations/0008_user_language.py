from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("portal", "0007_who_looked_at_what")]

    operations = [
        migrations.AddField(
            model_name="user",
            name="language",
            field=models.CharField(
                blank=True,
                choices=[("en", "English"), ("es", "Español"), ("fr-ca", "Français (Canada)")],
                help_text="Of pages and e-mails; empty: as the browser asks, and English in e-mails.",
                max_length=10,
            ),
        ),
    ]
