from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("espi", "0002_initial"),
    ]

    operations = [
        migrations.AddField(
            model_name="notification",
            name="channel",
            field=models.CharField(
                choices=[
                    ("batch_list", "ESPI notification"),
                    ("events", "UtilityAPI webhook, its signature checked"),
                ],
                default="batch_list",
                max_length=12,
            ),
        ),
    ]
