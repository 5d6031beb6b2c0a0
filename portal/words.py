"""Sentences that were stored or declared in English, said in the reader's language."""

import re
from collections.abc import Sequence

from django.utils.translation import get_language, gettext, pgettext

SENTENCE_ENDS = re.compile(r"(?<=[.?!]) +")


def retold(stored: str) -> str:
    """A stored text, sentence by sentence: such as the reason why a job waits. English stays as it was stored.

    In another language a sentence that no catalogue knows (it may hold a value, or a utility's own words) is left out.
    """
    if not stored or (get_language() or "en").startswith("en"):
        return stored
    whole = gettext(stored)
    if whole != stored:
        return whole
    said = ((sentence, gettext(sentence)) for sentence in SENTENCE_ENDS.split(stored))
    return " ".join(words for sentence, words in said if words != sentence)


def listed(names: Sequence[str]) -> str:
    """Names as a sentence lists them: "a", "a and b", "a, b and c"."""
    if len(names) < 2:
        return "".join(names)
    first, last = pgettext("between the names of a list", ", ").join(names[:-1]), names[-1]
    return gettext("%(names)s and %(last)s") % {"names": first, "last": last}
