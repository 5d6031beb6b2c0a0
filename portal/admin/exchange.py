"""The exchange with the utilities: jobs, notifications, documents."""

from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join

from espi import archive
from espi.models import (
    Document,
    FetchJob,
    Notification,
)
from portal.acceptance import masking
from portal.admin.base import Operated, ReadOnly, since
from portal.flows import holding
from portal.flows.staffing import completeness, work
from portal.flows.staffing.masking import masked
from portal.views.staff.pages import tell_acted

LONGEST_BODY = 4000
MOST_LINKS = 200


@admin.register(FetchJob)
class FetchJobAdmin(Operated):
    """Work that waits, runs or ended, and why."""

    owner = "authorization__retail_customer"
    is_work = True
    hidden = ("url", "claim", "reason")
    actions = ("retry", "cancel", "ask_again")
    more = ("paused", "address", "why", "documents")
    list_display = (
        "kind",
        "application_information",
        "state",
        "why",
        "attempts",
        "not_before",
        "paused",
        "finished_at",
    )
    list_filter = ("state", "kind", "application_information", since("created_at"))
    list_select_related = ("application_information__circuit",)

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """The list, of whose rows those of one registration look once whether its budget has room."""
        found = super().get_changelist_instance(request)
        has_room = holding.rooms(timezone.now())
        for job in found.result_list:
            job.has_room = has_room
        return found

    @admin.display(description="Paused until")
    def paused(self, job: FetchJob) -> str:
        """Until when its utility asked all of us to wait; for work that is not over."""
        until = work.paused_until(job, timezone.now()) if job.state in FetchJob.OPEN else None
        return f"{until:%Y-%m-%d %H:%M}" if until else "-"

    @admin.display(description="Reason")
    def why(self, job: FetchJob) -> str:
        """In words. It may repeat a link of the file, whose ids can be account numbers."""
        now = timezone.now()
        return masked(work.why(job, now, getattr(job, "has_room", None) or holding.rooms(now)))

    @admin.display(description="Documents")
    def documents(self, job: FetchJob) -> str:
        """What it brought, or was sent and refused."""
        found = job.documents.order_by("pk")[:MOST_LINKS]
        rows = ((reverse("admin:espi_document_change", args=[each.pk]), each) for each in found)
        return format_html_join("\n", '<div><a href="{}">{}</a></div>', rows) or "None"

    @admin.display(description="Address")
    def address(self, job: FetchJob) -> str:
        """Where it asks, without the query."""
        return masked(job.url)

    @admin.action(description="Try again now", permissions=["operate"])
    def retry(self, request: HttpRequest, jobs: QuerySet[FetchJob]) -> None:
        """What failed or waits, as if it had just been asked for."""
        tell_acted(request, work.RETRY, list(jobs[: work.AT_ONCE]))

    @admin.action(description="Cancel", permissions=["operate"])
    def cancel(self, request: HttpRequest, jobs: QuerySet[FetchJob]) -> None:
        """What has not ended yet."""
        tell_acted(request, work.CANCEL, list(jobs[: work.AT_ONCE]))

    @admin.action(description="Ask again", permissions=["operate"])
    def ask_again(self, request: HttpRequest, jobs: QuerySet[FetchJob]) -> None:
        """The same once more, for what has ended."""
        tell_acted(request, work.ASK_AGAIN, list(jobs[: work.AT_ONCE]))


@admin.register(Notification)
class NotificationAdmin(Operated):
    """What was posted to us, masked."""

    hidden = ("body", "refused_urls")
    deferred = ("body",)
    actions = ("replay",)
    more = ("beginning", "refused", "jobs")
    list_display = ("application_information", "state", "reason", "received_at", "source_address")
    list_filter = ("state", "application_information", since("received_at"))
    list_select_related = ("application_information",)

    @admin.display(description="Body")
    def beginning(self, notification: Notification) -> str:
        """Its elements or fields, without what they say of a customer."""
        return masked(masking.body(bytes(notification.body[:LONGEST_BODY]), notification.content_type))

    @admin.display(description="Refused URLs")
    def refused(self, notification: Notification) -> str:
        """Each with its reason."""
        rows = ((masked(str(url)), str(reason)) for url, reason in notification.refused_urls)
        return format_html_join("\n", "<div>{}: {}</div>", rows) or "None"

    @admin.display(description="Jobs")
    def jobs(self, notification: Notification) -> str:
        """What it led to."""
        found = notification.fetch_jobs.order_by("pk")[:MOST_LINKS]
        rows = ((reverse("admin:espi_fetchjob_change", args=[each.pk]), each.pk, each) for each in found)
        return format_html_join("\n", '<div><a href="{}">{}: {}</a></div>', rows) or "None"

    @admin.action(description="Replay", permissions=["operate"])
    def replay(self, request: HttpRequest, notifications: QuerySet[Notification]) -> None:
        """What was set aside, or led to less than it named, is looked at again."""
        tell_acted(request, work.REPLAY, list(notifications[: work.AT_ONCE]))


@admin.register(Document)
class DocumentAdmin(ReadOnly):
    """What arrived: its size, where from, and what was found in it. Of contents, only those that were refused.

    What a customer called his file may be his name or street.
    """

    owner = "subscription__retail_customer"
    is_work = True
    hidden = ("url", "refusal", "file_name")
    actions = ("download",)
    more = ("address", "readings", "refused", "left_out", "contradictions", "beginning")
    list_display = (
        "received_at",
        "application_information",
        "subscription",
        "size",
        "refused",
        "left_out",
        "contradictions",
    )
    list_filter = ("application_information", since("received_at"))
    search_fields = ("public_id", "sha256")
    search_help_text = "A document's reference or SHA-256, whole."
    list_select_related = ("application_information", "subscription")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Document], search_term: str
    ) -> tuple[QuerySet[Document], bool]:
        """By its reference or its digest, each whole: both have an index, which a part of one could not use."""
        words = search_term.strip().lower()
        if not words:
            return queryset, False
        try:
            return queryset.filter(public_id=UUID(words)), False
        except ValueError:
            return queryset.filter(sha256=words.replace("\0", "")), False

    @admin.display(description="Address")
    def address(self, document: Document) -> str:
        """Where it came from, without the query."""
        return masked(document.url) or "-"

    @admin.display(description="Its readings that hold")
    def readings(self, document: Document) -> str:
        """Each channel's days, with a link to the meter's page at that month."""
        found = completeness.stored(document)
        rows = (
            (reverse("staff:meter", args=[each.meter], query={"month": f"{each.last:%Y-%m}"}), each.words)
            for each in found[:MOST_LINKS]
        )
        more = format_html("<div>And {} more</div>", len(found) - MOST_LINKS) if len(found) > MOST_LINKS else ""
        told = format_html_join("\n", '<div><a href="{}">{}</a></div>', rows)
        return format_html("{}{}", told, more) or "None: refused, known before, or replaced"

    @admin.display(description="Why it was refused")
    def refused(self, document: Document) -> str:
        """In words; a dash for what was taken in."""
        return masked(document.refusal) or "-"

    @admin.display(description="Refused readings and other things")
    def left_out(self, document: Document) -> int:
        """How many of its statements were refused; the summary says which, and why."""
        return sum(each["count"] for each in document.summary.get("refused", ()))

    @admin.display(description="Where it contradicts itself, or its utility")
    def contradictions(self, document: Document) -> str:
        """In words, with how often."""
        found = [f"{each['what']}: {each['why']} ({each['count']})" for each in document.summary.get("remarks", ())]
        return "; ".join(found) or "-"

    @admin.display(description="Beginning of what was refused")
    def beginning(self, document: Document) -> str:
        """Its elements, without what they say of a customer."""
        if not document.refusal:
            return "-"
        return masked(masking.body(next(archive.content(document), b"")[:LONGEST_BODY], document.content_type))

    def has_download_permission(self, request: HttpRequest) -> bool:
        """Superusers: nothing in it is masked."""
        return request.user.is_superuser

    @admin.action(description="Download what was refused, as it was received", permissions=["download"])
    def download(self, request: HttpRequest, documents: QuerySet[Document]) -> HttpResponseBase | None:
        """One document's bytes, for whoever has to find out what the utility sent. The row's history says who took them."""
        document = documents.exclude(refusal="").first()
        if document is None or documents.count() > 1:
            self.message_user(request, "Choose one document that was refused.", messages.WARNING)
            return None
        if asked := self.first_a_reason(request, str(document.pk)):
            return asked
        self.log_change(request, document, "Downloaded.")
        headers = {
            "Content-Disposition": f'attachment; filename="{document.public_id}.bin"',
            "Cache-Control": "no-store",
        }
        return StreamingHttpResponse(archive.content(document), "application/octet-stream", headers=headers)
