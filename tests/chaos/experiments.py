"""What an experiment is, and the list of all of them.

An experiment is a function that takes a World and returns what it observed; it raises NotSo, or anything else, when
something is not as it must be. Its docstring is the sentence that must be so.
"""

import importlib
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.chaos.world import NotSo, World

GROUPS = ("workers", "broker", "database", "notifications", "answers", "tokens", "storm", "clock", "resources")
KINDS = ("kill", "broker", "database", "notification", "answers", "tokens", "time", "resources")

Run = Callable[[World], dict[str, Any]]


@dataclass(frozen=True)
class Experiment:
    """`kind`: of which kind `make test` runs this one as a smoke; "" for the others."""

    id: str
    group: str
    says: str
    run: Run
    kind: str = ""


ALL: dict[str, Experiment] = {}


def experiment(id_: str, *, kind: str = "") -> Callable[[Run], Run]:
    """Register a function under the id of its fault. Its module is its group."""

    def register(run: Run) -> Run:
        group = run.__module__.rpartition(".")[2]
        ALL[id_] = Experiment(id_, group, " ".join((run.__doc__ or "").split()), run, kind)
        return run

    return register


def load() -> dict[str, Experiment]:
    """Every experiment by its id, in the order of the groups."""
    for group in GROUPS:
        importlib.import_module(f"tests.chaos.{group}")
    return dict(sorted(ALL.items(), key=lambda item: GROUPS.index(item[1].group)))


def perform(each: Experiment, world: World) -> dict[str, Any]:
    """Run one on a world that is whole; {id, group, says, passed, seconds, observed}."""
    began, passed, observed = time.monotonic(), False, {}
    try:
        world.whole()
        observed = each.run(world)
        passed = True
    except NotSo as error:
        observed = {"found": str(error)} | details(world)
    except Exception as error:
        observed = {"found": f"{type(error).__name__}: {error}", "trace": traceback.format_exc()[-2000:]} | details(
            world
        )
    seconds = round(time.monotonic() - began, 1)
    return {
        "id": each.id,
        "group": each.group,
        "says": each.says,
        "passed": passed,
        "seconds": seconds,
        "observed": observed,
    }


def details(world: World) -> dict[str, Any]:
    """What one needs to look into a failure; whatever can still be had."""
    try:
        return world.record()
    except Exception as error:
        return {"record": f"{type(error).__name__}: {error}"}
