"""The staff's look at letters: what was sent to whom and when, and every letter there is, to read in each language."""

from typing import ClassVar

from django.conf import settings
from django.contrib import admin
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import URLPattern, path, reverse
from unfold.decorators import action

from portal import letters
from portal.admin.base import ReadOnly, since
from portal.letters import KINDS, LETTERS, TOPICS
from portal.models import ConsentEvent, Departure, Export, Letter
from portal.views.connect import see_other

LANGUAGES = ("en", "es", "fr-ca")


@admin.register(Letter)
class LetterAdmin(ReadOnly):
    """Each letter and what became of it; never what it said."""

    owner = "retail_customer"
    hidden = ("key",)
    list_display = ("kind", "customer", "language", "state", "reason", "created_at", "sent_at")
    list_filter = ("kind", "state", "language", since("created_at"))
    search_fields = ("public_id", "retail_customer__email")
    list_select_related = ("retail_customer",)
    actions_list: ClassVar[list[str]] = ["all_letters"]

    @action(description="Read every letter there is", url_path="all-letters", permissions=["view"])
    def all_letters(self, request: HttpRequest) -> HttpResponse:
        """To the list."""
        return see_other(reverse("admin:portal_letter_kinds"))

    def get_urls(self) -> list[URLPattern]:
        """The list of kinds, and each of them as it would be sent."""
        wrap = self.admin_site.admin_view
        own = [
            path("kinds/", wrap(self.kinds), name="portal_letter_kinds"),
            path("kinds/<slug:kind_id>/<slug:language>/<slug:form>", wrap(self.preview), name="portal_letter_preview"),
        ]
        return own + super().get_urls()

    def kinds(self, request: HttpRequest) -> HttpResponse:
        """Every letter, when it is written, and whether people can do without it."""
        self._require_view(request)
        context = {
            **self.admin_site.each_context(request),
            "title": "Every letter there is",
            "letters": LETTERS,
            "topics": {topic.id: topic for topic in TOPICS},
            "languages": LANGUAGES,
        }
        return render(request, "admin/portal/letter/kinds.html", context)

    def preview(self, request: HttpRequest, kind_id: str, language: str, form: str) -> HttpResponse:
        """One letter with made-up values, as text or as HTML."""
        self._require_view(request)
        kind = KINDS.get(kind_id)
        if kind is None or language not in LANGUAGES or form not in ("text", "html"):
            raise Http404
        way_out = f"{settings.PORTAL_BASE_URL}/letters/unsubscribe/…" if kind.topic else ""
        written = letters.render(kind, language, kind.example, unsubscribe=way_out)
        if form == "html":
            return HttpResponse(written.html)
        return HttpResponse(f"{written.subject}\n\n{written.text}", content_type="text/plain; charset=utf-8")

    def _require_view(self, request: HttpRequest) -> None:
        if not self.has_view_permission(request):
            raise Http404


@admin.register(ConsentEvent)
class ConsentEventAdmin(ReadOnly):
    """What happened to consents."""

    owner = "consent__retail_customer"
    list_display = ("consent", "kind", "at", "text_version", "language")
    list_filter = ("kind", since("at"))
    search_fields = ("consent__reference",)
    list_select_related = ("consent",)


@admin.register(Export)
class ExportAdmin(ReadOnly):
    """Files that customers asked for; not what is in them."""

    owner = "retail_customer"
    hidden = ("wanted", "claim")
    list_display = ("kind", "customer", "state", "size", "asked_at", "ready_at", "expires_at")
    list_filter = ("kind", "state")
    search_fields = ("public_id", "retail_customer__email")
    list_select_related = ("retail_customer",)


@admin.register(Departure)
class DepartureAdmin(ReadOnly):
    """Accounts that were deleted, by number."""

    list_display = ("user_id", "left_at", "done_at")
