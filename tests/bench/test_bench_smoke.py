"""The bench works: every figure, with tiny documents. Nothing is asserted about time."""

import json
import math
import os
import subprocess
import sys

import pytest

from tests.bench import figures, harness
from tests.bench.documents import SHAPES, document, one_byte_more
from tests.bench.measure import Sample
from tests.espi import reference_reader


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    directory = tmp_path_factory.mktemp("bench")
    words = [sys.executable, "-m", "tests.bench", "--quick", "--out", str(directory / "bench.json")]
    environment = os.environ | {"VAR_DIR": str(directory)}
    done = subprocess.run(words, cwd=harness.ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout, json.loads((directory / "bench.json").read_text())


def test_every_figure_is_a_finite_number_in_a_well_formed_file(smoke):
    _, found = smoke
    assert len(found) > 20
    for figure in found:
        assert set(figure) == {"name", "value", "unit", "limit", "better"}
        assert math.isfinite(figure["value"])
        assert figure["better"] in ("lower", "higher")
        assert figure["limit"] is None or math.isfinite(figure["limit"])
    assert len({figure["name"] for figure in found}) == len(found)


def test_the_table_has_every_figure_and_says_where_it_was_measured(smoke):
    table, found = smoke
    assert "lxml" in table.splitlines()[0]
    for figure in found:
        assert figure["name"] in table


def test_no_reading_is_read_otherwise_than_by_the_reference_reader(smoke):
    differing = {figure["name"]: figure["value"] for figure in smoke[1] if "reference reader" in figure["name"]}
    assert set(differing.values()) == {0}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_document_is_as_long_as_asked_and_the_same_every_time(shape, tmp_path):
    one, other = document(tmp_path / "one", shape, 60_000), document(tmp_path / "other", shape, 60_000)
    assert one.read_bytes() == other.read_bytes()
    assert 60_000 <= one.stat().st_size < 200_000
    readings = [reading for block in reference_reader.blocks(one) for reading in block]
    assert len(readings) == len({reading.start for reading in readings}) > 30
    assert one_byte_more(one).read_bytes() == one.read_bytes() + b"\n"


def test_a_limit_is_kept_at_its_very_value_and_missed_beyond_it(tmp_path):
    assert figures.at_most("a", 1.7, "x", 1.7).is_kept
    assert not figures.at_most("a", 1.71, "x", 1.7).is_kept
    assert figures.at_least("a", 6, "x", 6).is_kept
    assert not figures.at_least("a", 5.9, "x", 6).is_kept
    assert figures.at_most("a", 100, "x", None).is_kept
    with pytest.raises(ValueError, match="no figure"):
        figures.at_most("a", math.nan, "x", 1)


def test_figures_of_one_group_replace_their_own_and_leave_the_others(tmp_path):
    path = tmp_path / "var" / "bench.json"
    figures.append(path, [figures.at_most("a", 1, "x", 2), figures.at_least("b", 3, "MB/s", None)])
    figures.append(path, [figures.at_most("a", 1.5, "x", 2)])
    assert json.loads(path.read_text()) == [
        {"name": "a", "value": 1.5, "unit": "x", "limit": 2, "better": "lower"},
        {"name": "b", "value": 3.0, "unit": "MB/s", "limit": None, "better": "higher"},
    ]


def test_a_block_too_long_for_memory_is_read_in_a_process_without_django(tmp_path):
    path = document(tmp_path, "one_block", 6_000_000)
    assert harness.Bench(tmp_path).fresh("parsing:read", path=str(path)).told["readings"] > 20_000


def test_a_fresh_process_tells_what_it_measured_and_its_failure_in_words(tmp_path):
    bench = harness.Bench(tmp_path)
    path = document(tmp_path, "coned", 60_000)
    sample = bench.fresh("parsing:read", path=str(path))
    assert isinstance(sample, Sample)
    assert sample.told["readings"] == 288
    assert min(sample.wall, sample.cpu, sample.peak) > 0
    with pytest.raises(harness.Failed, match="No such file"):
        bench.fresh("parsing:read", path=str(tmp_path / "nothing"))
