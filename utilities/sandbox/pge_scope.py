"""PG&E's two scope strings: the end dates a third party may ask for, and the grant PG&E reports afterwards.

The scope of the authorize request is no data scope: the customer alone chooses the data groups.
Source: PG&E "Phase 2 Online Customer Authorization: 3rd Party Initiated", and the Scopes section of its developer page.
"""

import re
from collections.abc import Iterable

ALWAYS = (1, 3, 8, 13, 14, 18, 19, 31, 32, 35, 37, 38, 39)
DATA_GROUPS = ("Usage", "Billing", "Basic", "Account", "ProgramEnrollment")
_DATE = re.compile(r"(MinAuthEndDate|PreferredAuthEndDate)=(-?\d{1,19})")


class InvalidScope(ValueError):
    """The request's scope is not a pair of end dates."""


def requested_end_dates(scope: str) -> dict[str, int]:
    """`MinAuthEndDate=..;PreferredAuthEndDate=..` to epoch seconds; InvalidScope for anything else."""
    dates: dict[str, int] = {}
    for part in scope.rstrip(";").split(";"):
        match = _DATE.fullmatch(part)
        if not match or match[1] in dates or abs(int(match[2])) >= 2**63:
            raise InvalidScope(part)
        dates[match[1]] = int(match[2])
    if dates.get("MinAuthEndDate", 0) > dates.get("PreferredAuthEndDate", 2**63):
        raise InvalidScope("MinAuthEndDate is after PreferredAuthEndDate")
    return dates


def blocks(groups: Iterable[str], *, electric: bool, gas: bool, offline: bool = False) -> list[int]:
    """Function blocks of a grant, in PG&E's order: the constant ones first, then what the customer's choice adds."""
    chosen = set(groups)
    rules = (
        (4, "Usage" in chosen),
        (5, "Usage" in chosen and electric),
        (10, bool({"Usage", "Billing"} & chosen) and gas),
        (15, bool({"Usage", "Billing"} & chosen)),
        (16, "Billing" in chosen),
        (40, offline),
        (46, bool({"Basic", "Account", "ProgramEnrollment"} & chosen)),
        (47, bool({"Basic", "Account", "ProgramEnrollment"} & chosen)),
    )
    return [*ALWAYS, *(block for block, granted in rules if granted)]


def granted(
    groups: Iterable[str], durations: Iterable[int], *, electric: bool, gas: bool, accounts: int, third_party: str
) -> str:
    """The scope string of a token answer. AdditionalScope is absent when no data group was chosen."""
    chosen = [group for group in DATA_GROUPS if group in set(groups)]
    pairs = ["FB=" + "_".join(map(str, blocks(chosen, electric=electric, gas=gas)))]
    if chosen:
        pairs.append("AdditionalScope=" + "_".join(chosen))
    pairs.append("IntervalDuration=" + "_".join(str(seconds) for seconds in sorted(set(durations))))
    pairs += ["BlockDuration=Daily", "HistoryLength=63072000", f"AccountCollection={accounts}"]
    return ";".join([*pairs, f"BR={third_party}", "dataCustodianId=PGE"])
