"""Sentences that were stored or declared in English, said in the reader's language."""

import re
from collections.abc import Sequence
from functools import lru_cache

from django.utils.translation import get_language, gettext, gettext_noop, pgettext

SENTENCE_ENDS = re.compile(r"(?<=[.?!]) +")
BLANK = re.compile(r"\\{([a-z]+)\\}")

# What `espi` says, which knows no languages, and sentences with a value in them. Those of two places stand here once.
SHARES_NO_MORE = gettext_noop("Your utility does not share any more: {names}.")
SHARES_NOW = gettext_noop("Your utility shares now: {names}.")
TRIED_FOR = gettext_noop("We tried for {days} days without success.")
OUR_FAULT = gettext_noop("A fault of ours ({kind}); we try again.")
UNREADABLE = gettext_noop("The utility's answer could not be read.")
ENDED_BEFORE = gettext_noop("Sharing ended before the data arrived.")
FROM_DOCUMENTS = (
    gettext_noop("The file is empty."),
    gettext_noop("This is not a Green Button file."),
    gettext_noop("This is not a Green Button file (it is not XML)."),
    gettext_noop("This is XML, but not Green Button (ESPI) data: it begins with {name}."),
    gettext_noop("The file is not well-formed XML: {why}."),
    gettext_noop("The file holds a document type declaration (DOCTYPE), which Green Button data never has."),
    gettext_noop("The file marks its elements with xml:id, which Green Button data never has."),
    gettext_noop("More than {count} of the file's entries are not Green Button (ESPI) data."),
    gettext_noop("The file says more beside its readings than can be read at once."),
    gettext_noop("Ask for a shorter period."),
    gettext_noop("One entry of the file is too large to be read."),
    gettext_noop("Ask for a shorter period, or for a file with an entry for each day or month."),
    gettext_noop("The file names more than {count} usage points."),
    gettext_noop("The file names more than {count} meter readings."),
    gettext_noop("Ask for a file of fewer meters."),
)
SENTENCES = (SHARES_NO_MORE, SHARES_NOW, TRIED_FOR, OUR_FAULT, UNREADABLE, ENDED_BEFORE, *FROM_DOCUMENTS)


def retold(stored: str) -> str:
    """A stored text, sentence by sentence: such as the reason why a job waits. English stays as it was stored.

    In another language a sentence that no catalogue knows (it may hold a utility's own words) is left out.
    """
    if not stored or (get_language() or "en").startswith("en"):
        return stored
    whole = gettext(stored)
    if whole != stored:
        return whole
    return " ".join(filter(None, map(_known, SENTENCE_ENDS.split(stored))))


def _known(text: str) -> str:
    """A sentence of the catalogue, or one of SENTENCES with its values; "" for any other."""
    said = gettext(text)
    if said != text:
        return said
    found = ((sentence, pattern.fullmatch(text)) for sentence, pattern in _patterns())
    sentence, match = next(((sentence, match) for sentence, match in found if match), ("", None))
    return gettext(sentence).format(**_retold_values(match.groupdict())) if match else ""


def _retold_values(values: dict[str, str]) -> dict[str, str]:
    """Names are of the catalogue, and stand in a row; other values stay as they are."""
    return {
        name: listed([gettext(each) for each in value.split(", ")]) if name == "names" else value
        for name, value in values.items()
    }


@lru_cache(maxsize=1)
def _patterns() -> list[tuple[str, re.Pattern[str]]]:
    return [(each, re.compile(BLANK.sub(r"(?P<\1>.+)", re.escape(each)), re.DOTALL)) for each in SENTENCES]


def listed(names: Sequence[str]) -> str:
    """Names as a sentence lists them: "a", "a and b", "a, b and c"."""
    if len(names) < 2:
        return "".join(names)
    first, last = pgettext("between the names of a list", ", ").join(names[:-1]), names[-1]
    return gettext("%(names)s and %(last)s") % {"names": first, "last": last}
