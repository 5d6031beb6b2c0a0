from django.db import migrations

import espi.fields


class Migration(migrations.Migration):
    """Documents rest encrypted. Those from before stay gzip until rotate_field_keys is run, and can be read."""

    dependencies = [("espi", "0007_claims_and_one_place_for_uploads")]

    operations = [
        migrations.AlterField(
            model_name="document",
            name="content",
            field=espi.fields.EncryptedBinaryField(help_text="gzip of the bytes as received."),
        ),
    ]
