"""Run fault experiments: python -m tests.chaos [F01 F02 workers ... | smoke] [--output FILE].

Each group runs in a process of its own, on a world of its own, two groups side by side. Results go to var/chaos.json, by id, beside those of
experiments that were not run this time. The exit code is 1 when one of those that ran did not pass.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from portal.local.place import ROOT
from tests.chaos import experiments
from tests.chaos.experiments import Experiment

OUTPUT = ROOT / "var" / "chaos.json"
AT_ONCE = 2
LONGEST_FIRST = ("clock", "workers", "tokens", "broker", "resources")  # so that no group begins when others end


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("only", nargs="*", help="ids, groups, or smoke; nothing: all of them")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    parser.add_argument("--at-once", type=int, default=AT_ONCE, help="groups side by side")
    parser.add_argument("--here", action="store_true", help="in this process, on one world")
    options = parser.parse_args(words)
    wanted = chosen(options.only)
    found = perform(wanted, options.output) if options.here else in_groups(wanted, options)
    failed = [each for each in found if not each["passed"]]
    if not options.here:
        print(f"{len(found) - len(failed)} of {len(found)} passed; {options.output}", flush=True)
    return 1 if failed else 0


def chosen(words: list[str]) -> list[Experiment]:
    """The experiments that words name. Exits, saying what there is, on a word that names none."""
    every = experiments.load()
    if not words:
        return list(every.values())
    found: dict[str, Experiment] = {}
    for word in words:
        named = [each for each in every.values() if word in (each.id, each.group) or (word == "smoke" and each.kind)]
        if not named:
            sys.exit(f"Nothing is called {word}. Groups: {', '.join(experiments.GROUPS)}. Ids: {', '.join(every)}.")
        found.update({each.id: each for each in named})
    return list(found.values())


def in_groups(wanted: list[Experiment], options: argparse.Namespace) -> list[dict[str, Any]]:
    """Each group in a process of its own; the results together, as they come, in the output."""
    groups = {group: [each for each in wanted if each.group == group] for group in experiments.GROUPS}
    ordered = sorted((group for group in groups if groups[group]), key=_place)
    found: list[dict[str, Any]] = []
    with ThreadPoolExecutor(max(1, options.at_once)) as together:
        for results in together.map(of_group, map(groups.__getitem__, ordered)):
            found += results
            keep(results, options.output)
    return found


def _place(group: str) -> int:
    return LONGEST_FIRST.index(group) if group in LONGEST_FIRST else len(LONGEST_FIRST)


def of_group(some: list[Experiment]) -> list[dict[str, Any]]:
    """What became of experiments of one group; those that their process did not come to have not passed."""
    with tempfile.TemporaryDirectory(prefix="portal-chaos-") as folder:
        part = Path(folder) / "results.json"
        command = [sys.executable, "-m", "tests.chaos", *(each.id for each in some), "--here", "--output", str(part)]
        subprocess.run(command, cwd=ROOT, check=False)
        results = json.loads(part.read_text()) if part.exists() else []
    ended = {each["id"] for each in results}
    return results + [unfinished(each) for each in some if each.id not in ended]


def unfinished(each: Experiment) -> dict[str, Any]:
    observed = {"found": "its world did not start, or ended"}
    return {"id": each.id, "group": each.group, "says": each.says, "passed": False, "seconds": 0, "observed": observed}


def keep(results: list[dict[str, Any]], output: Path) -> None:
    """Put results beside earlier ones of other experiments, in the order of their ids."""
    before = json.loads(output.read_text()) if output.exists() else []
    together = {each["id"]: each for each in [*before, *results]}
    output.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    new = output.with_suffix(f".{os.getpid()}")
    new.write_text(json.dumps([together[id_] for id_ in sorted(together)], indent=1, default=str) + "\n")
    new.replace(output)


def perform(wanted: list[Experiment], output: Path) -> list[dict[str, Any]]:
    """One after the other on one world."""
    from tests.chaos.world import World

    found: list[dict[str, Any]] = []
    began = time.monotonic()
    world = World().start()
    print(f"      a world stands after {time.monotonic() - began:.1f} s", flush=True)
    try:
        for each in wanted:
            result = experiments.perform(each, world)
            found.append(result)
            keep([result], output)
            show(result)
    finally:
        world.close()
    return found


def show(result: dict[str, Any]) -> None:
    """One line, and what was found where it did not pass."""
    mark = "ok  " if result["passed"] else "FAIL"
    print(f"{mark}  {result['id']:<5}{result['seconds']:>6.1f} s  {result['says']}", flush=True)
    if not result["passed"]:
        print(f"      {result['observed'].get('found')}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
