"""The catalogues in `locale/`: brought up to date, compiled, compared."""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import polib

from tests.messages.sources import ROOT, Message

PLURALS = {"es": "nplurals=2; plural=(n != 1);", "fr_CA": "nplurals=2; plural=(n > 1);"}


def place(locale: str) -> Path:
    """The catalogue's source; what is compiled from it stands beside it."""
    return ROOT / "locale" / locale / "LC_MESSAGES" / "django.po"


def read(locale: str) -> polib.POFile:
    """A catalogue; empty where there is none yet."""
    path = place(locale)
    return polib.pofile(str(path), wrapwidth=110) if path.exists() else polib.POFile(wrapwidth=110)


def template(messages: Iterable[Message]) -> polib.POFile:
    """Every text once, with the files it stands in, in the order of the texts."""
    where: dict[tuple[str, str], list[Message]] = defaultdict(list)
    for message in messages:
        where[message.key].append(message)
    found = polib.POFile(wrapwidth=110)
    for (context, text), places in sorted(where.items()):
        found.append(_entry(context, text, places))
    return found


def _entry(context: str, text: str, places: list[Message]) -> polib.POEntry:
    plural = next((message.plural for message in places if message.plural), "")
    return polib.POEntry(
        msgid=text,
        msgid_plural=plural,
        msgstr_plural={0: "", 1: ""} if plural else {},
        msgctxt=context or None,
        occurrences=[(source, "") for source in sorted({message.source for message in places})],
        flags=["python-format"] if "%(" in text + plural else [],
    )


def update(locale: str, messages: Iterable[Message]) -> polib.POFile:
    """Bring new texts in, take texts nobody says any more out, keep every translation; write source and compiled."""
    known = {_key(entry): entry for entry in read(locale) if not entry.obsolete}
    fresh = template(messages)
    fresh.metadata = {
        "Language": locale,
        "MIME-Version": "1.0",
        "Content-Type": "text/plain; charset=utf-8",
        "Content-Transfer-Encoding": "8bit",
        "Plural-Forms": PLURALS[locale],
    }
    for entry in fresh:
        if before := known.get(_key(entry)):
            entry.msgstr, entry.tcomment = before.msgstr, before.tcomment
            entry.msgstr_plural = before.msgstr_plural if entry.msgid_plural else {}
            entry.flags += [flag for flag in before.flags if flag not in entry.flags]
            if entry.msgid_plural and not entry.msgstr_plural:
                entry.msgstr_plural = {0: "", 1: ""}
    place(locale).parent.mkdir(parents=True, exist_ok=True)
    fresh.save(str(place(locale)))
    fresh.save_as_mofile(str(place(locale).with_suffix(".mo")))
    return fresh


def _key(entry: polib.POEntry) -> tuple[str, str, str]:
    return entry.msgctxt or "", entry.msgid, entry.msgid_plural


def missing(catalogue: polib.POFile) -> list[polib.POEntry]:
    """Texts without a finished translation."""
    return [entry for entry in catalogue if not entry.obsolete and not entry.translated()]
