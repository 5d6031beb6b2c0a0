"""One fault experiment of each kind, on one world of real processes. `make chaos` runs all of them (docs/chaos.md)."""

import json
import subprocess
import sys

import pytest

from portal.local.place import ROOT
from tests.chaos import experiments

SMOKE = {each.kind: each for each in experiments.load().values() if each.kind}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    output = tmp_path_factory.mktemp("chaos") / "chaos.json"
    ids = [each.id for each in SMOKE.values()]
    command = [sys.executable, "-m", "tests.chaos", *ids, "--here", "--output", str(output)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1200)
    assert output.exists(), done.stdout[-2000:] + done.stderr[-2000:]
    return {each["id"]: each for each in json.loads(output.read_text())}


@pytest.mark.parametrize("each", SMOKE.values(), ids=[f"{kind}: {each.id}" for kind, each in SMOKE.items()])
def test_what_an_experiment_says_is_so(results, each):
    assert each.id in results, "it did not run"
    assert results[each.id]["passed"], f"{each.says}\n{json.dumps(results[each.id]['observed'], indent=1)[:4000]}"


def test_every_experiment_says_in_a_sentence_what_must_be_so():
    for each in experiments.load().values():
        assert each.says[0].isupper() or each.says[0].isdigit(), each.id
        assert each.says.endswith("."), each.id
