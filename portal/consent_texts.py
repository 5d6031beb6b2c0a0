"""The sentences above the button "Agree and continue", by version and language.

A version that people have agreed to is never changed: whoever changes a word gives it a new version, and keeps the old
one here. Each consent keeps its sentences word for word as well; `tests/portal/test_consent_texts.py` holds both to it.
"""

from dataclasses import dataclass
from datetime import date

from django.utils import translation
from django.utils.formats import date_format

VERSION = "2026-11"
DEFAULT_LANGUAGE = "en"


@dataclass(frozen=True)
class Text:
    """One version in one language. `{}` fields are filled in for a journey; `day_format` is Django's."""

    ask: str
    use: str
    period: str
    stop: str
    from_day: str
    from_today: str
    until_day: str
    until_stopped: str
    purpose: str
    last_and: str
    day_format: str

    def day(self, day: date, language: str) -> str:
        """A day in words."""
        with translation.override(language):
            return date_format(day, self.day_format)

    def listed(self, names: list[str]) -> str:
        """Names in a row: "a, b and c"."""
        return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {self.last_and} {names[-1]}"

    def since(self, start: date | None, language: str) -> str:
        """From when the permission runs."""
        return self.from_day.format(day=self.day(start, language)) if start else self.from_today

    def until(self, end: date | None, language: str) -> str:
        """Until when it runs."""
        return self.until_day.format(day=self.day(end, language)) if end else self.until_stopped


TEXTS: dict[str, dict[str, Text]] = {
    "2026-11": {
        "en": Text(
            ask="I ask {utility} to give {company} this data about my account: {data}.",
            use="{company} collects it so that I can see and understand my energy use here. "
            "It is not sold and not passed on.",
            period="My permission runs {since} {until}. The data may go back up to two years before it.",
            stop="I can stop at any time on my dashboard, as easily as I agreed. What was collected is then deleted, "
            "unless I ask to keep it.",
            from_day="from {day}",
            from_today="from today",
            until_day="until {day}",
            until_stopped="until I stop it or it ends at the utility",
            purpose="To show you your energy use",
            last_and="and",
            day_format="F j, Y",
        ),
        "es": Text(
            ask="Pido a {utility} que entregue a {company} estos datos de mi cuenta: {data}.",
            use="{company} los recoge para que yo pueda ver y entender aquí mi consumo de energía. "
            "No se venden ni se entregan a nadie más.",
            period="Mi permiso vale {since} {until}. Los datos pueden llegar hasta dos años antes.",
            stop="Puedo detenerlo en cualquier momento en mi panel, con la misma facilidad con la que acepté. Entonces se "
            "borra lo que se recogió, a menos que yo pida conservarlo.",
            from_day="desde el {day}",
            from_today="desde hoy",
            until_day="hasta el {day}",
            until_stopped="hasta que yo lo detenga o termine en la compañía",
            purpose="Para mostrarle su consumo de energía",
            last_and="y",
            day_format=r"j \d\e F \d\e Y",
        ),
        "fr-ca": Text(
            ask="Je demande à {utility} de remettre à {company} ces données sur mon compte : {data}.",
            use="{company} les recueille pour que je puisse voir et comprendre ici ma consommation d’énergie. "
            "Elles ne sont ni vendues ni transmises à d’autres.",
            period="Mon autorisation vaut {since} {until}. Les données peuvent remonter jusqu’à deux ans plus tôt.",
            stop="Je peux arrêter à tout moment dans mon tableau de bord, aussi facilement que j’ai accepté. Ce qui a été "
            "recueilli est alors supprimé, sauf si je demande de le garder.",
            from_day="à partir du {day}",
            from_today="à partir d’aujourd’hui",
            until_day="jusqu’au {day}",
            until_stopped="jusqu’à ce que je l’arrête ou qu’elle prenne fin chez le distributeur",
            purpose="Pour vous montrer votre consommation d’énergie",
            last_and="et",
            day_format="j F Y",
        ),
    },
}


def written_in(language: str = "") -> str:
    """The language in which somebody is shown the texts: `language`, or that of the page; English if not written in it."""
    active = language or translation.get_language() or DEFAULT_LANGUAGE
    known = TEXTS[VERSION]
    return next((each for each in (active, active.split("-")[0]) if each in known), DEFAULT_LANGUAGE)


def text(version: str = VERSION, language: str = DEFAULT_LANGUAGE) -> Text:
    """The text of a version. Raises KeyError for one that never was."""
    return TEXTS[version][language]
