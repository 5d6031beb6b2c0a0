"""Every part of the design on one page, for whoever builds pages."""

from django import forms
from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe


class SampleForm(forms.Form):
    """One field of each kind."""

    text = forms.CharField(label="A line of text", help_text="What is expected, in a sentence.")
    code = forms.CharField(
        label="A code", required=False, max_length=8, widget=forms.TextInput(attrs={"class": "code-input"})
    )
    day = forms.DateField(label="A day", widget=forms.DateInput(attrs={"type": "date"}))
    one = forms.ChoiceField(
        label="One of a few", choices=[("a", "This one"), ("b", "That one")], widget=forms.RadioSelect
    )
    several = forms.MultipleChoiceField(
        label="Several", choices=[("a", "Readings"), ("b", "Bills")], widget=forms.CheckboxSelectMultiple
    )
    yes = forms.BooleanField(label="Yes or no", required=False, help_text="A single box.")
    long = forms.CharField(label="Longer words", required=False, widget=forms.Textarea)


@require_safe
def styleguide(request: HttpRequest) -> HttpResponse:
    """404 for everybody but staff, except on a developer's machine. `?wrong`: the form with its errors."""
    if not (settings.DEBUG or getattr(request.user, "is_staff", False)):
        raise Http404
    form = SampleForm({"text": "", "day": "yesterday"} if "wrong" in request.GET else None)
    return render(request, "portal/styleguide.html", {"form": form, "tones": ("", "success", "warning", "error")})
