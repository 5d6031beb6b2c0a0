"""A scope string to a value and back, byte for byte.

    Scope.parse("FB=1_3_4;HistoryLength=63072000;").function_blocks -> ("1", "3", "4")
    str(Scope.parse(text)) == text, always

One text may hold several scopes: Con Edison V1 joins its four strings with "|" when it is asked and with a blank when it
answers, in an order of its own (its contract, 2.3). Each begins at its `FB=`. PG&E's granted scope has further keys and
may be noise such as "5+6+7" (its contract, 6 and 7): unknown keys and texts are kept and mean nothing.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

_NEXT_SCOPE = re.compile(r"(?=(?<![A-Za-z])FB=)")
_SEPARATORS = " |\t\r\n"
# What an option of AdditionalScope begins with on the UtilityAPI platform (Essex contract, 3.4).
_OPTION_PREFIXES = ("auth-", "historical-", "ongoing-", "meters-", "sou-", "noedit")


@dataclass(frozen=True)
class Scope:
    """One scope text. Comparison is of the text; use `function_blocks` and `terms` to compare meaning."""

    text: str

    @classmethod
    def parse(cls, text: str) -> "Scope":
        """Never raises: what is not understood has no blocks and no terms."""
        return cls(text)

    def __str__(self) -> str:
        return self.text

    @property
    def parts(self) -> tuple["Scope", ...]:
        """The scopes of a list, each without the separators around it; of a single scope, itself."""
        pieces = [piece.strip(_SEPARATORS) for piece in _NEXT_SCOPE.split(self.text)]
        return tuple(Scope(piece) for piece in pieces if piece)

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """(key, value) of every `key=value`, of all parts, in order, as written."""
        terms = [term.strip() for part in self.parts for term in part.text.split(";")]
        return tuple((key.strip(), value.strip()) for key, _, value in (term.partition("=") for term in terms) if value)

    def get(self, key: str) -> str:
        """The first value of a key, compared without regard to case; "" when there is none."""
        return next((value for name, value in self.pairs if name.lower() == key.lower()), "")

    def values(self, key: str) -> tuple[str, ...]:
        """The `_`-separated values of a key, over all parts, each once, in order."""
        found = (item for name, value in self.pairs if name.lower() == key.lower() for item in value.split("_") if item)
        return tuple(dict.fromkeys(found))

    @property
    def function_blocks(self) -> tuple[str, ...]:
        """Function block numbers of all parts, each once, in the order written."""
        return self.values("FB")

    @property
    def additional(self) -> tuple[str, ...]:
        """The options of AdditionalScope. `_` separates them and occurs inside them: see `options`."""
        return options(self.get("AdditionalScope"))


def options(text: str) -> tuple[str, ...]:
    """AdditionalScope's options: a piece that begins like no option belongs to the option before it.

    `auth-test-test_residential` is one option (Essex contract, 3.4). PG&E's `Usage_Billing` has no prefixes at all,
    so there every piece is an option (its contract, 7).
    """
    pieces = [piece for piece in text.split("_") if piece]
    if not any(piece.startswith(_OPTION_PREFIXES) for piece in pieces):
        return tuple(pieces)
    glued: list[str] = []
    for piece in pieces:
        if glued and not piece.startswith(_OPTION_PREFIXES):
            glued[-1] += f"_{piece}"
        else:
            glued.append(piece)
    return tuple(glued)


def join(scopes: Iterable[str], separator: str = "|") -> str:
    """Scope strings as one text, each untouched: Con Edison V1 takes only its own strings back."""
    return separator.join(scopes)
