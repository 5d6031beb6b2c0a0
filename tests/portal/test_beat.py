"""The scheduler sends what is due once a day although it is restarted more often than that."""

import pytest
from django_celery_beat.models import PeriodicTask

from portal import beat
from portal.celery import app

pytestmark = pytest.mark.django_db(transaction=True)


def test_what_never_ran_is_due_when_the_scheduler_starts():
    scheduler = beat.Scheduler(app=app)
    assert not PeriodicTask.objects.filter(last_run_at=None).exists()
    scheduler.schedule_changed()
    daily = beat.Scheduler(app=app).schedule["purge"]
    assert daily.is_due().is_due


def test_a_restart_does_not_let_it_run_again_before_its_time():
    beat.Scheduler(app=app)
    ran = beat.timezone.now()
    PeriodicTask.objects.filter(name="purge").update(last_run_at=ran)
    again = beat.Scheduler(app=app)
    assert PeriodicTask.objects.get(name="purge").last_run_at == ran
    assert not again.schedule["purge"].is_due().is_due
