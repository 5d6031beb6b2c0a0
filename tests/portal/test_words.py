"""Stored English, retold."""

import pytest
from django.utils import translation

from portal.words import listed, retold

KNOWN, UNKNOWN = "This field is required.", "The frob was 7 zorgs late."


def test_english_stays_as_it_was_stored():
    assert retold(f"{KNOWN} {UNKNOWN}") == f"{KNOWN} {UNKNOWN}"
    with translation.override("en"):
        assert retold(UNKNOWN) == UNKNOWN


def test_sentences_are_retold_one_by_one_and_unknown_ones_left_out():
    with translation.override("es"):
        assert retold(KNOWN) == "Este campo es obligatorio."
        assert retold(f"{UNKNOWN} {KNOWN}") == "Este campo es obligatorio."
        assert retold(UNKNOWN) == retold("") == ""


@pytest.mark.parametrize(
    ("names", "said"), [([], ""), (["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")]
)
def test_names_are_listed_as_a_sentence_lists_them(names, said):
    assert listed(names) == said
