"""Which e-mails a customer gets: his choices, and the way out that stands in the e-mails themselves."""

from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from portal.flows import mailing
from portal.letters import TOPICS
from portal.views.connect import customer, see_other


class LettersForm(forms.Form):
    """The letters that a customer may do without; ticked: he wants them."""

    topics = forms.MultipleChoiceField(
        label=gettext_lazy("Send me"),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        choices=[(topic.id, topic.name) for topic in TOPICS],
        error_messages={"invalid_choice": gettext_lazy("Choose from the list.")},
    )


@require_http_methods(["GET", "POST"])
@never_cache
@login_required
def letters(request: HttpRequest) -> HttpResponse:
    """Choose, and see which letters always come."""
    user = customer(request)
    known = [topic.id for topic in TOPICS]
    wanted = [each for each in known if each not in user.letters_declined]
    form = LettersForm(request.POST if request.method == "POST" else None, initial={"topics": wanted})
    if form.is_valid():
        mailing.decline(user, [each for each in known if each not in form.cleaned_data["topics"]])
        messages.success(request, _("Saved."))
        return see_other(reverse("letters"))
    context: dict[str, Any] = {"form": form, "topics": TOPICS, "wanted": form["topics"].value()}
    return render(request, "portal/letters.html", context, status=422 if form.errors else 200)


@csrf_exempt  # a mail program posts here, without a cookie (RFC 8058 §3.2); the signed address is the right to do so
@require_http_methods(["GET", "POST"])
@never_cache
def unsubscribe(request: HttpRequest, token: str) -> HttpResponse:
    """No more letters of one topic: at once by POST; a visitor is asked first, for programs open addresses too."""
    try:
        user, topic_id = mailing.read_unsubscribe(token)
    except mailing.NotOurs:
        raise Http404 from None
    if request.method == "POST" and user:
        mailing.decline_one(user, topic_id)
    topic = next((each for each in TOPICS if each.id == topic_id), None)
    context = {"topic": topic, "is_done": request.method == "POST"}
    return render(request, "portal/unsubscribe.html", context)
