"""What a bench says: figures, each with the limit it has to keep; the table people read and the file programs read."""

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class Figure:
    """One number. `limit` None: shown for its own sake. `note` is for people: absolute times, the other clock."""

    name: str
    value: float
    unit: str
    limit: float | None
    better: Literal["lower", "higher"]
    note: str = field(default="", compare=False)

    @property
    def is_kept(self) -> bool:
        if self.limit is None:
            return True
        return self.value <= self.limit if self.better == "lower" else self.value >= self.limit


def at_most(name: str, value: float, unit: str, limit: float | None, note: str = "") -> Figure:
    """A figure that is better the lower it is. Raises ValueError on a value that is no number."""
    return _figure(name, value, unit, limit, "lower", note)


def at_least(name: str, value: float, unit: str, limit: float | None, note: str = "") -> Figure:
    """A figure that is better the higher it is. Raises ValueError on a value that is no number."""
    return _figure(name, value, unit, limit, "higher", note)


def _figure(
    name: str, value: float, unit: str, limit: float | None, better: Literal["lower", "higher"], note: str
) -> Figure:
    if not math.isfinite(value):
        raise ValueError(f"{name}: {value} is no figure")
    return Figure(name, float(f"{value:.4g}"), unit, limit, better, note)


def append(path: Path, figures: Iterable[Figure]) -> None:
    """Put figures into the file, in the place of earlier ones of the same name; the others stay."""
    found = {each["name"]: each for each in json.loads(path.read_text())} if path.exists() else {}
    for figure in figures:
        found[figure.name] = {key: value for key, value in asdict(figure).items() if key != "note"}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(list(found.values()), indent=1) + "\n")


def row(figure: Figure, *, is_judged: bool = True) -> str:
    """A line of the table; without a verdict where the value means nothing."""
    limit = "" if figure.limit is None else f"{'≤' if figure.better == 'lower' else '≥'} {figure.limit:.4g}"
    verdict = "" if figure.limit is None or not is_judged else "kept" if figure.is_kept else "MISSED"
    return f"{figure.name:<58} {figure.value:>9g} {figure.unit:<8} {limit:>8} {verdict:<7} {figure.note}".rstrip()


def heading() -> str:
    return f"{'figure':<58} {'value':>9} {'unit':<8} {'limit':>8} {'':<7} note"


def missed(figures: Sequence[Figure]) -> list[Figure]:
    return [figure for figure in figures if not figure.is_kept]
