"""Forms of the customer's pages."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, cast

from django import forms
from django.conf import settings
from django.http import QueryDict
from django.utils.translation import gettext_lazy as _

from espi.models import ApplicationInformation
from portal.flows.authorize import Arrival
from utilities import places
from utilities.base import Utility


class ChooseDataForm(forms.Form):
    """The utility's catalogue; nothing is ticked beforehand except what this customer ticked before."""

    kinds = forms.MultipleChoiceField(widget=forms.CheckboxSelectMultiple, label=_("What do you want to share?"))

    def __init__(
        self, utility: Utility, app: ApplicationInformation, posted: Any = None, *, earlier: Sequence[str] = ()
    ) -> None:
        """`earlier`: ids to tick."""
        super().__init__(posted, initial={"kinds": list(earlier)})
        self.catalogue = utility.data_choices(app)
        self.least, self.most = utility.choices_limits(app)
        field = self.fields["kinds"]
        field.choices = [(choice.id, _(choice.name)) for choice in self.catalogue]  # type: ignore[attr-defined]
        limits = _("Choose one.") if self.most == 1 else _("Choose %(least)s to %(most)s.")
        field.help_text = limits % {"least": self.least, "most": self.most}
        field.error_messages = {
            "required": _("Choose at least one kind of data."),
            "invalid_choice": _("That is not one of the kinds of data on this page. Please choose from the list."),
        }

    def clean_kinds(self) -> list[str]:
        """Between the utility's least and most choices, each once."""
        chosen: list[str] = self.cleaned_data["kinds"]
        if not self.least <= len(chosen) <= self.most or len(set(chosen)) != len(chosen):
            few = _("Choose between %(least)s and %(most)s kinds of data, each once.")
            raise forms.ValidationError(few % {"least": self.least, "most": self.most})
        return chosen

    def rows(self) -> list[dict[str, Any]]:
        """The catalogue with each row's state, for the page."""
        ticked = self["kinds"].value() or []
        return [{"choice": choice, "ticked": choice.id in ticked} for choice in self.catalogue]


class ChooseUtilityForm(forms.Form):
    """Con Edison or O&R: their own address cannot tell."""

    utility = forms.ChoiceField(
        widget=forms.RadioSelect,
        label=_("Which company is on your bill?"),
        error_messages={"required": _("Choose your utility."), "invalid_choice": _("Choose a utility from the list.")},
    )

    def __init__(self, offered: Sequence[Utility], posted: Any = None) -> None:
        """`offered`: the utilities whose customers may arrive this way."""
        super().__init__(posted)
        self.fields["utility"].choices = [(u.slug, u.long_name) for u in offered]  # type: ignore[attr-defined]


class LanguageForm(forms.Form):
    """One of the site's languages, each by its own name."""

    language = forms.ChoiceField(label=_("Language"), widget=forms.RadioSelect, choices=settings.LANGUAGES)


class PostalCodeForm(forms.Form):
    """A ZIP or postal code, to find out which utility serves it."""

    code = forms.CharField(
        label=_("ZIP or postal code"),
        max_length=12,
        help_text=_("For example 10001, or N9V 1A1."),
        widget=forms.TextInput(attrs={"autocomplete": "postal-code", "class": "code-input"}),
        error_messages={"required": _("Enter a ZIP or postal code.")},
    )

    def clean_code(self) -> str:
        """The code as it was written, if it is one."""
        code: str = self.cleaned_data["code"]
        try:
            places.normalized(code)
        except places.NotACode:
            raise forms.ValidationError(
                _("That is neither a ZIP code (five digits) nor a Canadian postal code.")
            ) from None
        return code


class USDateField(forms.Field):
    """MM/DD/YYYY, as Con Edison writes it (onboarding document 2.1.1, step 4)."""

    def to_python(self, value: Any) -> date | None:
        """A date between 2000 and 2100, or None."""
        if not value:
            return None
        try:
            day = datetime.strptime(value, "%m/%d/%Y").date()  # noqa: DTZ007 - a calendar day has no zone
        except (ValueError, TypeError):
            raise forms.ValidationError(_("The date is not written as month/day/year.")) from None
        if not date(2000, 1, 1) <= day <= date(2100, 1, 1):
            raise forms.ValidationError(_("The date is not possible."))
        return day


class ArrivalForm(forms.Form):
    """What comes with a customer from Con Edison or O&R. Other parameters are ignored, whatever they are called."""

    accountid = forms.RegexField(
        r"^[0-9A-Za-z-]{1,32}\Z",
        required=False,
        strip=True,
        error_messages={"invalid": _("The account number is not one.")},
    )
    startdate = USDateField(required=False)
    enddate = USDateField(required=False)

    def clean(self) -> dict[str, Any]:
        """A parameter that stands twice, or dates the wrong way round, are refused."""
        cleaned = super().clean() or {}
        for name in self.fields:
            if len(cast(QueryDict, self.data).getlist(name)) > 1:
                raise forms.ValidationError(_("A part of the address stands there twice."))
        start, end = cleaned.get("startdate"), cleaned.get("enddate")
        if start and end and start > end:
            raise forms.ValidationError(_("The first day is after the last day."))
        return cleaned

    def arrival(self) -> Arrival:
        """The checked values."""
        cleaned = self.cleaned_data
        return Arrival(cleaned["accountid"], cleaned["startdate"], cleaned["enddate"])
