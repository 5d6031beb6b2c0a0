"""`make bench`: every group of figures, a table, var/bench.json; ends with 1 where a limit is missed."""

import argparse
import importlib
import os
import platform
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from tests.bench import figures
from tests.bench.harness import ROOT, Bench, Failed

# One module per group, each with `figures(bench) -> Iterator[Figure]`; in this order.
GROUPS = ("parsing", "loading", "memory", "reading", "growth", "engine", "pages", "staff")
PACKAGES = ("lxml", "django", "psycopg")


def main(words: list[str]) -> int:
    """Run what is asked for. 0: every limit was kept; 1: not."""
    asked = arguments().parse_args(words)
    var = Path(os.environ.get("VAR_DIR") or ROOT / "var").absolute()
    bench = Bench(var / "bench", rounds=1 if asked.quick else asked.rounds, quick=asked.quick, full=asked.full)
    target = asked.out or var / "bench.json"
    if set(asked.only) == set(GROUPS):
        target.unlink(missing_ok=True)
    found = []
    print(machine(), figures.heading(), sep="\n", flush=True)
    try:
        for figure in measured(bench, asked.only):
            print(figures.row(figure, is_judged=not asked.quick), flush=True)
            figures.append(target, [figure])
            found.append(figure)
    finally:
        bench.close()
    return verdict(found, asked.quick)


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=GROUPS, default=GROUPS, metavar="GROUP", help=", ".join(GROUPS))
    parser.add_argument("--rounds", type=int, default=5, help="how often each method is measured (default: 5)")
    parser.add_argument(
        "--quick", action="store_true", help="tiny sizes, one round: does all of it work? Times mean nothing"
    )
    parser.add_argument("--full", action="store_true", help="also what takes many minutes")
    parser.add_argument("--out", type=Path, help="where the figures go instead of var/bench.json")
    return parser


def measured(bench: Bench, groups: list[str]) -> Iterator[figures.Figure]:
    for name in groups:
        bench.log(f"{name} ...")
        try:
            yield from importlib.import_module(f"tests.bench.{name}").figures(bench)
        except Failed as error:
            bench.log(str(error))
            yield figures.at_most(f"{name}: came to an end", 1, "failure", 0, "the reason is above")


def machine() -> str:
    """Where and with what this was measured, in one line."""
    cpu = next((line.partition(": ")[2] for line in _lines("/proc/cpuinfo") if line.startswith("model name")), "")
    load = " ".join(f"{each:.1f}" for each in os.getloadavg())
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return (
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {os.cpu_count()} x {cpu or platform.machine()}, load {load}, "
        f"{platform.python_implementation()} {platform.python_version()}, {versions}"
    )


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines() if Path(path).exists() else []


def verdict(found: list[figures.Figure], is_quick: bool) -> int:
    missed = figures.missed(found)
    limits = sum(figure.limit is not None for figure in found)
    if is_quick and not any(figure.unit == "failure" for figure in found):
        print(f"\n{len(found)} figures of tiny files: they say that the bench works, and nothing else.")
        return 0
    print(f"\n{limits - len(missed)} of {limits} limits kept.")
    for figure in missed:
        print(f"missed: {figure.name}: {figure.value:g} {figure.unit}, the limit is {figure.limit:g}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
