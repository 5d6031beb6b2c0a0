from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

import espi.fields


def encrypt(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    _rewrite(schema_editor, espi.fields.encrypt)


def decrypt(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    _rewrite(schema_editor, espi.fields.decrypt)


def _rewrite(schema_editor: BaseDatabaseSchemaEditor, how) -> None:
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("SELECT id, title FROM espi_usagepoint WHERE title <> ''")
        rows = [(how(title), pk) for pk, title in cursor.fetchall()]
        cursor.executemany("UPDATE espi_usagepoint SET title = %s WHERE id = %s", rows)


class Migration(migrations.Migration):
    """Titles of usage points can hold a street address: they rest encrypted, those from before too."""

    dependencies = [("espi", "0018_customer_data")]

    operations = [
        migrations.AlterField(
            model_name="usagepoint",
            name="title",
            field=espi.fields.EncryptedTextField(blank=True, help_text="atom:title; can hold a street address."),
        ),
        migrations.RunPython(encrypt, decrypt),
    ]
