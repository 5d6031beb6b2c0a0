"""Forms of the acceptance tests' pages."""

from django import forms

from portal.models import Outcome


class StepForm(forms.Form):
    """How a step of the utility's procedure stands."""

    outcome = forms.ChoiceField(label="How it stands", choices=Outcome.choices)
    owner = forms.CharField(label="Who has done it, or has to", max_length=100, required=False)
    evidence = forms.CharField(
        label="What shows it",
        max_length=1000,
        required=False,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text="For example: form sent on 3 March to the onboarding team. No password and no token.",
    )


class JudgeForm(forms.Form):
    """What only the tester could see."""

    outcome = forms.ChoiceField(
        label="What happened",
        widget=forms.RadioSelect,
        choices=[("passed", "As expected"), ("failed", "Not as expected")],
        error_messages={"required": "Say whether it went as expected."},
    )
    seen = forms.CharField(
        label="What you saw",
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 3}),
        error_messages={"required": "Write what you saw: it goes into the report."},
    )
