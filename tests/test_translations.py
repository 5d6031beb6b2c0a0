"""Nothing a customer reads stays English for a reader of Spanish or French, and nothing is translated by halves."""

import re
from string import Formatter

import polib
import pytest
from django.template import Context, Template
from django.utils import translation

from tests.messages import catalogues, sources

LOCALES = sorted(catalogues.PLURALS)
# Where translations are still missing: beginnings of paths.
UNTRANSLATED = ()
TEMPLATES = sources.templates()
MODULES = sources.speaking()


@pytest.fixture(scope="module")
def said():
    """Every marked text."""
    return sources.messages()


@pytest.mark.parametrize("locale", LOCALES)
def test_every_text_is_translated(said, locale):
    known = {(entry.msgctxt or "", entry.msgid): entry for entry in catalogues.read(locale) if entry.translated()}
    wanted = [message for message in said if not message.source.startswith(UNTRANSLATED)]
    missing = sorted({f"{m.source}: {m.text[:90]}" for m in wanted if m.key not in known})
    assert not missing, "`make messages`, then translate:\n" + "\n".join(missing)


@pytest.mark.parametrize("locale", LOCALES)
def test_no_translation_is_a_guess_and_none_is_of_a_text_nobody_says(said, locale):
    spoken = {message.key for message in said}
    for entry in catalogues.read(locale):
        assert not entry.fuzzy, entry.msgid
        assert (entry.msgctxt or "", entry.msgid) in spoken, f"nobody says: {entry.msgid}"


@pytest.mark.parametrize("locale", LOCALES)
def test_what_is_compiled_is_what_is_written(locale):
    compiled = polib.mofile(str(catalogues.place(locale).with_suffix(".mo")))
    written = {_key(entry): _said(entry) for entry in catalogues.read(locale) if entry.translated()}
    assert {_key(entry): _said(entry) for entry in compiled} == written


def _key(entry):
    return entry.msgctxt or "", entry.msgid


def _said(entry):
    return dict(entry.msgstr_plural) or entry.msgstr


@pytest.mark.parametrize("locale", LOCALES)
def test_a_translation_names_the_same_values_and_tags_and_addresses(locale):
    for entry in catalogues.read(locale):
        for text in (entry.msgstr, *entry.msgstr_plural.values()):
            if text:
                assert _values(text) <= _values(entry.msgid + entry.msgid_plural), entry.msgid
                assert _values(entry.msgid) <= _values(text) | {"count", "counter"}, entry.msgid
                assert _tags(text) == _tags(entry.msgid), entry.msgid


def _values(text):
    braces = {name for _, name, _, _ in Formatter().parse(text) if name} if "{" in text else set()
    return set(re.findall(r"%\((\w+)\)", text)) | braces


def _tags(text):
    return sorted(re.findall(r"</?\w+", text))


@pytest.mark.parametrize("path", TEMPLATES, ids=sources.relative)
def test_a_template_holds_no_words_outside_translation_tags(path):
    assert sources.bare(path) == []


@pytest.mark.parametrize("path", MODULES, ids=sources.relative)
def test_a_module_says_no_sentence_that_is_not_marked(path):
    assert sources.unmarked(path) == []


@pytest.mark.parametrize(
    ("language", "day", "number"),
    [
        ("en", "November 6, 2026", "1,234.5"),
        ("es", "6 de noviembre de 2026", "1,234.5"),
        ("fr-ca", "6 novembre 2026", "1\u00a0234,5"),
    ],
)
def test_dates_and_numbers_are_written_as_readers_know_them(language, day, number):
    from datetime import date

    page = Template("{% load humanize %}{{ day }}|{{ number|intcomma }}")
    with translation.override(language):
        assert page.render(Context({"day": date(2026, 11, 6), "number": 1234.5})) == f"{day}|{number}"


def test_what_the_framework_says_is_said_in_french_too():
    with translation.override("fr-ca"):
        assert translation.gettext("This field is required.") == "Ce champ est obligatoire."


# --- That the tests above would notice ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("<p>Hello there</p>", ["Hello there"]),
        ('<p>{% translate "Hello" %} {{ name }}</p>', []),
        ('<a title="Go on" href="/x">{{ x }}</a>', ["Go on"]),
        ("{% blocktranslate %}Hello{% endblocktranslate %}<code>curl -X</code>{# a note #}", []),
        ("{% if x %}Yes, please{% endif %}", ["Yes, please"]),
    ],
)
def test_bare_words_are_found(tmp_path, monkeypatch, source, found):
    path = tmp_path / "page.html"
    path.write_text(source)
    assert sources.bare(path) == found


def test_unmarked_sentences_are_found(tmp_path):
    path = tmp_path / "module.py"
    path.write_text(
        '"""About it."""\nfrom x import _\nA = "Nothing was shared."\nB = _("It was marked.")\nC = "a key"\n'
    )
    assert sources.unmarked(path) == ["Nothing was shared."]


def test_every_kind_of_mark_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "ROOT", tmp_path)
    page = tmp_path / "page.html"
    page.write_text(
        '{% load i18n %}{% translate "One" %}{% blocktranslate trimmed count n=x %}\n  {{ n }} of 100%\n  '
        '{% plural %}{{ n }} all{% endblocktranslate %}{{ y|default:_("Two") }}'
    )
    assert [(m.text, m.plural) for m in sources.of_template(page)] == [
        ("One", ""),
        ("%(n)s of 100%%", "%(n)s all"),
        ("Two", ""),
    ]
