"""A text that people have agreed to is never changed."""

import hashlib
from dataclasses import astuple
from datetime import date

import pytest
from django.utils import translation

from portal import consent_texts

# Of every version in every language. A changed text needs a new version and a line of its own; a line here never changes.
DIGESTS = {
    ("2026-11", "en"): "0c2d4e187a64d706",
    ("2026-11", "es"): "5a619b7fb4e11ab4",
    ("2026-11", "fr-ca"): "e8bff0830ee5c7a8",
}


def digest(text):
    return hashlib.sha256("\n".join(astuple(text)).encode()).hexdigest()[:16]


def test_no_text_of_a_version_has_changed():
    found = {
        (version, language): text for version, texts in consent_texts.TEXTS.items() for language, text in texts.items()
    }
    assert {key: digest(text) for key, text in found.items()} == DIGESTS


@pytest.mark.parametrize(
    ("active", "written"), [("en", "en"), ("en-us", "en"), ("es", "es"), ("fr-ca", "fr-ca"), ("de", "en")]
)
def test_the_text_is_in_the_language_of_the_page_or_in_english(active, written):
    assert consent_texts.written_in(active) == written
    with translation.override(active):
        assert consent_texts.written_in() == written


@pytest.mark.parametrize(
    ("language", "words"),
    [("en", "until March 1, 2027"), ("es", "hasta el 1 de marzo de 2027"), ("fr-ca", "jusqu’au 1 mars 2027")],
)
def test_days_are_in_the_language_of_the_text(language, words):
    assert consent_texts.text(language=language).until(date(2027, 3, 1), language) == words
