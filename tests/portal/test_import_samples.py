"""Every public sample imports, agrees with the counts its README states, and changes nothing the second time."""

import json
from decimal import Decimal
from io import StringIO

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command

from espi.models import MeterReading
from portal.models import User
from tests.espi import samples

STATED = samples.stated()
WELL_FORMED = [sample for sample in STATED if sample.is_well_formed]
BROKEN = [sample for sample in STATED if not sample.is_well_formed]
# their one entry holds an element of the Atom namespace
NOT_ESPI = ("gba40__Retail_Customer_Statement_Example.xml", "composed__no-espi.xml")
FILES = [sample.path for sample in WELL_FORMED if sample.path.name not in NOT_ESPI] + samples.pge_files()


SUMS = {sample.path: sample.value_sum for sample in WELL_FORMED}
# Where a time is told twice the README's plain sums count it twice: cumulative blocks, and an hour of a day with 7200 s.
ADDED_UP = {
    "verdigris__PGEIntervalBlock.xml": 496406375,
    "composed__cumulative-blocks.xml": 9876000,
    "dtesdk__Coastal_Multi_Family_12hr_Jan_1_2011_to_Jan_1_2012.xml": 4425305 - 617,
}


def added_up():
    """All that is stored, at the multipliers that the documents write, whatever it is: as the README adds."""
    found = Decimal(0)
    for channel in MeterReading.objects.select_related("reading_type"):
        values = [block.total for block in channel.interval_blocks.all()]
        values += [reading.value for reading in channel.interval_readings.all()]
        found += Decimal(sum(values)).scaleb(
            channel.power_of_ten_multiplier - channel.reading_type.power_of_ten_multiplier
        )
    return found


def _name(value):
    return getattr(getattr(value, "path", value), "name", None)


def dry_run(path):
    out = StringIO()
    call_command("import_greenbutton", str(path), dry_run=True, json=True, stdout=out)
    return json.loads(out.getvalue())


def all_rows():
    rows = {}
    for model in apps.get_app_config("espi").get_models():
        rows[model.__name__] = sorted(map(repr, model.objects.values()))
    return rows


def test_the_sample_table_is_read_whole_where_the_folder_is():
    assert len(WELL_FORMED) == (78 if samples.FOLDER.exists() else 18)


@pytest.mark.parametrize("sample", WELL_FORMED, ids=_name)
def test_a_dry_run_agrees_with_the_readme(sample):
    found = dry_run(sample.path)
    assert (found["readings"], found["blocks"], found["usage_points"]) == sample.counts
    assert Decimal(found["value_sum"]) == sample.value_sum
    assert isinstance(found["value_sum"], type(sample.value_sum) if sample.value_sum == int(sample.value_sum) else str)
    assert sum(channel["count"] for channel in found["channels"]) == sample.counts[0]
    assert sum(Decimal(channel["sum"]) for channel in found["channels"]) == sample.value_sum
    if sample.first is not None:
        assert (found["first"], found["last"]) == (sample.first, sample.last)
    assert all(set(each) == {"what", "why", "count"} for each in found["refused"])


@pytest.mark.django_db
@pytest.mark.parametrize("path", FILES, ids=_name)
def test_importing_twice_changes_nothing(path):
    User.objects.create_user("owner@example.com")
    call_command("import_greenbutton", str(path), user="OWNER@example.com", stdout=StringIO())
    once = all_rows()
    assert added_up() == ADDED_UP.get(path.name, SUMS.get(path, added_up()))
    out = StringIO()
    call_command("import_greenbutton", str(path), user="owner@example.com", json=True, stdout=out)
    assert all_rows() == once
    said = json.loads(out.getvalue())
    assert said["readings"] == dry_run(path)["readings"]
    assert said["stored"] == said["revised"] == 0


UNUSABLE = [(sample.path, "well-formed") for sample in BROKEN]
UNUSABLE += [(sample.path, "None of the file's entries") for sample in WELL_FORMED if sample.path.name in NOT_ESPI]


@pytest.mark.django_db
@pytest.mark.parametrize(("path", "words"), UNUSABLE, ids=_name)
def test_a_file_without_green_button_data_is_refused_in_words_and_leaves_nothing(path, words):
    User.objects.create_user("owner@example.com")
    before = all_rows()
    with pytest.raises(CommandError, match=words) as caught:
        call_command("import_greenbutton", str(path), user="owner@example.com", stdout=StringIO())
    assert caught.value.returncode == 1
    assert all_rows() == before
