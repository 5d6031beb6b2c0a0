"""How a turn of a part ends."""

from dataclasses import dataclass
from typing import Self

from portal.models import Outcome


@dataclass(frozen=True)
class Turn:
    """Either the part is over (`outcome`, and `words` for what happened), or its next turn is due in `wait` seconds."""

    outcome: str | None = None
    words: str = ""
    wait: float = 0

    @classmethod
    def done(cls, outcome: str, words: str) -> Self:
        """It is over."""
        return cls(Outcome(outcome), words)

    @classmethod
    def again(cls, seconds: float) -> Self:
        """There is more to do."""
        return cls(wait=seconds)
