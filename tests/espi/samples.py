"""Green Button files with the counts that their README states: our own, and a public collection where it is present."""

import re
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

SHARED = Path(__file__).resolve().parents[3] / "shared"
OWN = Path(__file__).resolve().parents[1] / "samples" / "espi"
FOLDER = SHARED / "samples" / "espi"
PGE = SHARED / "reference" / "pge" / "samples"

_ROW = re.compile(r"^\| (?P<name>[^|]+\.xml) \|", re.IGNORECASE)
_COUNTS = re.compile(r"(\d+) / (\d+) / (\d+)")


class Sample(NamedTuple):
    """A row of the README; `counts` is None where the file is not well-formed."""

    path: Path
    counts: tuple[int, int, int] | None
    value_sum: int | Decimal
    first: int | None
    last: int | None

    @property
    def is_well_formed(self) -> bool:
        return self.counts is not None


def stated() -> list[Sample]:
    return [sample for folder in (OWN, FOLDER) if folder.exists() for sample in _table(folder)]


def _table(folder: Path) -> list[Sample]:
    rows = (folder / "README.md").read_text().splitlines()
    return [_sample(folder, row) for row in rows if _ROW.match(row)]


def _sample(folder: Path, row: str) -> Sample:
    cells = [cell.strip() for cell in row.strip().strip("|").split("|")]
    name, counts, total, period = cells[0], cells[6], cells[7], cells[8]
    found = _COUNTS.fullmatch(counts)
    starts = [int(each) for each in re.findall(r"\d{9,}", period)]
    return Sample(
        folder / "xml" / name,
        tuple(map(int, found.groups())) if found else None,
        int(total) if total.isdigit() else Decimal(total) if "." in total else 0,
        starts[0] if starts else None,
        starts[-1] if starts else None,
    )


def pge_files() -> list[Path]:
    return sorted(PGE.glob("*.xml"))
