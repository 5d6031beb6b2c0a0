"""Stored English, retold."""

import re
from pathlib import Path

import pytest
from django.utils import translation

from portal import words
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


def test_values_go_along_and_names_are_translated():
    stored = f"{words.SHARES_NO_MORE.format(names='Usage, Billing')} {words.TRIED_FOR.format(days=3)} {UNKNOWN}"
    with translation.override("es"):
        said = "Su empresa ya no comparte: Consumo y Facturación. Lo intentamos durante 3 días sin éxito."
        assert retold(stored) == said
    with translation.override("fr-ca"):
        assert retold(words.SHARES_NOW.format(names="Usage")).startswith("Votre distributeur partage maintenant : ")


@pytest.mark.parametrize("sentence", words.FROM_DOCUMENTS)
def test_what_documents_are_refused_for_is_said_somewhere_in_these_words(sentence):
    """Otherwise a customer who reads another language is told nothing."""
    source = " ".join(path.read_text() for path in sorted((Path(words.__file__).parents[1] / "espi").glob("*.py")))
    said = re.sub(r"\"\s+f?\"", "", source)
    assert all(part in said for part in re.split(r"\{[a-z]+\}", sentence.rstrip("."))), sentence


@pytest.mark.parametrize(
    ("names", "said"), [([], ""), (["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")]
)
def test_names_are_listed_as_a_sentence_lists_them(names, said):
    assert listed(names) == said
