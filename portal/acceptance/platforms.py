"""What each platform has: its operations and the steps of its own procedure, read from the files beside this module."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import utilities
from espi.models import ApplicationInformation
from utilities.base import Utility
from utilities.coned import ConEdison
from utilities.pge import PGE
from utilities.utilityapi import UtilityAPI

HERE = Path(__file__).parent
PLATFORMS: tuple[tuple[type[Utility], str], ...] = (
    (ConEdison, "coned"),
    (PGE, "pge"),
    (UtilityAPI, "utilityapi"),
    (Utility, "espi"),
)


@dataclass(frozen=True)
class Operation:
    """One operation of a utility's API, as its document lists it.

    `expect`: statuses that pass. `kind`: the resource that a 200 must hold (one of them, with `|`), or empty. `grant`: of a token request.
    `learns`: our name -> the noun after which a link of the answer carries the id. `choice`: the kind of data that the
    customer must have shared for it. `notified`: part of the address that a notification must name first.
    """

    path: str
    expect: Sequence[int]
    token: str = "access"  # noqa: S105 - a class of tokens, not a token
    method: str = "GET"
    title: str = ""
    kind: str = ""
    grant: str = ""
    choice: str = ""
    notified: str = ""
    if_there_is_one: bool = False
    ends_authorization: bool = False
    query: Mapping[str, str] = field(default_factory=dict)
    learns: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """For people: its title, or method and path."""
        return self.title or f"{self.method} {self.path}"


@dataclass(frozen=True)
class Step:
    """A step of the utility's own procedure, in its words.

    `part`: the part of the test that shows it by itself (`connectivity`, `checklist`, `scenario:NAME`); empty where a
    person has to report it.
    """

    key: str
    phase: str
    title: str
    owner: str
    words: str = ""
    part: str = ""


def platform(app: ApplicationInformation) -> str:
    """Whose rules a registration follows; the standard's where its utility is on no platform we know."""
    utility = utilities.get(app.utility)
    return next(name for kind, name in PLATFORMS if isinstance(utility, kind))


def operations(app: ApplicationInformation) -> tuple[Operation, ...]:
    """Every operation that this registration's platform and edition list."""
    name = f"{platform(app)}_{app.edition}" if app.edition else platform(app)
    return tuple(Operation(**each) for each in _read(HERE / "operations" / f"{name}.toml", "operation"))


def steps(app: ApplicationInformation) -> tuple[Step, ...]:
    """The steps of the platform's onboarding, in order."""
    return tuple(Step(**each) for each in _read(HERE / "steps" / f"{platform(app)}.toml", "step"))


@cache
def _read(path: Path, table: str) -> list[dict[str, Any]]:
    with path.open("rb") as file:
        return list(tomllib.load(file)[table])
