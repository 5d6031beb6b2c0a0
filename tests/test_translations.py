"""Nothing a customer reads stays English for a reader of Spanish or French, and nothing is translated by halves."""

import re
from string import Formatter

import polib
import pytest
from django.template import Context, Template
from django.utils import translation

from tests.messages import catalogues, sources

LOCALES = sorted(catalogues.PLURALS)
# Files whose texts are not all marked so far: this list only ever shrinks.
UNMARKED = frozenset(
    """
    templates/400.html
    templates/403.html
    templates/404.html
    templates/429.html
    templates/500.html
    templates/503.html
    templates/account/account_inactive.html
    templates/account/base_confirm_code.html
    templates/account/base_reauthenticate.html
    templates/account/confirm_email_verification_code.html
    templates/account/confirm_password_reset_code.html
    templates/account/email/account_already_exists_message.txt
    templates/account/email/account_already_exists_subject.txt
    templates/account/email/api_token_created_message.txt
    templates/account/email/api_token_created_subject.txt
    templates/account/email/base_message.txt
    templates/account/email/base_notification.txt
    templates/account/email/email_changed_message.txt
    templates/account/email/email_changed_subject.txt
    templates/account/email/email_confirm_message.txt
    templates/account/email/email_confirm_subject.txt
    templates/account/email/email_confirmation_message.txt
    templates/account/email/email_confirmation_signup_message.txt
    templates/account/email/email_confirmation_signup_subject.txt
    templates/account/email/email_confirmation_subject.txt
    templates/account/email/password_changed_message.txt
    templates/account/email/password_changed_subject.txt
    templates/account/email/password_reset_code_message.txt
    templates/account/email/password_reset_code_subject.txt
    templates/account/email/password_reset_message.txt
    templates/account/email/password_reset_subject.txt
    templates/account/email/password_set_message.txt
    templates/account/email/password_set_subject.txt
    templates/account/email/please_reset_message.txt
    templates/account/email/please_reset_subject.txt
    templates/account/email/unknown_account_message.txt
    templates/account/email/unknown_account_subject.txt
    templates/account/email_change.html
    templates/account/login.html
    templates/account/logout.html
    templates/account/messages/email_confirmed.txt
    templates/account/messages/logged_out.txt
    templates/account/messages/password_changed.txt
    templates/account/password_change.html
    templates/account/password_reset.html
    templates/account/password_reset_from_key.html
    templates/account/password_reset_from_key_done.html
    templates/account/password_set.html
    templates/account/reauthenticate.html
    templates/account/signup.html
    templates/account/signup_closed.html
    templates/allauth/layouts/base.html
    templates/allauth/layouts/manage.html
    templates/mfa/authenticate.html
    templates/mfa/index.html
    templates/mfa/reauthenticate.html
    templates/mfa/recovery_codes/generate.html
    templates/mfa/recovery_codes/index.html
    templates/mfa/totp/activate_form.html
    templates/mfa/totp/deactivate_form.html
    templates/mfa/webauthn/add_form.html
    templates/mfa/webauthn/authenticator_confirm_delete.html
    templates/mfa/webauthn/authenticator_list.html
    templates/mfa/webauthn/edit_form.html
    templates/mfa/webauthn/reauthenticate.html
    templates/portal/account.html
    templates/portal/api_tokens.html
    templates/portal/connect/arrival_sign_in.html
    templates/portal/connect/check.html
    templates/portal/connect/choose_data.html
    templates/portal/connect/choose_utility.html
    templates/portal/connect/leave.html
    templates/portal/connect/receipt.html
    templates/portal/connect/refused.html
    templates/portal/connect/result.html
    templates/portal/connect/utility_list.html
    templates/portal/connect/which_utility.html
    templates/portal/dashboard.html
    templates/portal/delete_data.html
    templates/portal/download.html
    templates/portal/help.html
    templates/portal/how_to_stop.html
    templates/portal/parts/chart.html
    templates/portal/parts/figures.html
    templates/portal/parts/panel.html
    templates/portal/privacy.html
    templates/portal/start.html
    templates/portal/stop.html
    templates/portal/upload.html
    templates/portal/usage.html
    templates/portal/usage_problem.html
    templates/problem.html
    templates/usersessions/usersession_list.html
    portal/account_forms.py
    portal/accounts.py
    portal/charts.py
    portal/context.py
    portal/flows/authorize.py
    portal/flows/consents.py
    portal/flows/exports.py
    portal/flows/overview.py
    portal/flows/results.py
    portal/flows/returning.py
    portal/flows/upload.py
    portal/flows/withdraw.py
    portal/forms.py
    portal/history.py
    portal/panels.py
    portal/periods.py
    portal/views/api_tokens.py
    portal/views/connect.py
    portal/views/dashboard.py
    portal/views/download.py
    portal/views/upload.py
    utilities/base.py
    utilities/cecony.py
    utilities/coned.py
    utilities/essex.py
    utilities/oru.py
    utilities/pge.py
    utilities/utilityapi.py
    """.split()
)
# Where translations are still missing: beginnings of paths.
UNTRANSLATED = ("templates/", "portal/", "utilities/")
TEMPLATES = [path for path in sources.templates() if sources.relative(path) not in UNMARKED]
MODULES = [path for path in sources.speaking() if sources.relative(path) not in UNMARKED]


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
    path.write_text('"""About it."""\nfrom x import _\nA = "Nothing was shared."\nB = _("It was marked.")\nC = "a key"\n')
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
