from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("espi", "0008_documents_are_encrypted")]

    operations = [
        migrations.AlterField(
            model_name="usagepoint",
            name="resource_id",
            field=models.CharField(
                help_text="Last path segment of its self link, of an uploaded file the whole address; a digest if longer.",
                max_length=255,
            ),
        ),
    ]
