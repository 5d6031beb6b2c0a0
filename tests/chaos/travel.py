"""Time that passes: every instant we and the sandbox have noted moves into the past. Readings stay where they are."""

from django.apps import apps
from django.db import connection, models, transaction

from tests.chaos.world import World

OURS = ("espi", "portal", "django_celery_beat")
# Instants of the sandbox's tables, in epoch seconds.
THEIRS = {
    "sessions": ("created",),
    "codes": ("created", "expires"),
    "authorizations": ("ends", "created", "updated", "accessed"),
    "tokens": ("created", "expires"),
    "batches": ("created", "expires"),
    "responses": ("created", "expires"),
    "notifications": ("created", "due", "sent"),
    "ledger": ("at",),
    "deliveries": ("at",),
}


def travel(world: World, *, hours: float) -> None:
    """Let so many hours have passed since everything that has happened."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL lock_timeout = '60s'")  # who stands still with a row in his hand
        for model in apps.get_models():
            columns = [f.column for f in model._meta.local_fields if isinstance(f, models.DateTimeField)]
            if columns and model._meta.app_label in OURS and model._meta.managed:
                moved = ", ".join(f'"{name}" = "{name}" - %s * interval \'1 hour\'' for name in columns)
                cursor.execute(f'UPDATE "{model._meta.db_table}" SET {moved}', [hours] * len(columns))
    travel_there(world, hours=hours)


def travel_there(world: World, *, hours: float) -> None:
    """The same at the utilities alone."""
    store = world.store
    for table, names in THEIRS.items():
        moved = ", ".join(f"{name} = {name} - ?" for name in names)
        store.execute(f"UPDATE {table} SET {moved}", (hours * 3600,) * len(names))
    store.close()
