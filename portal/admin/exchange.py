"""The exchange with the utilities: jobs, notifications, documents."""

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.html import format_html_join

from espi import archive
from espi.models import (
    Document,
    FetchJob,
    Notification,
)
from portal.acceptance import masking
from portal.admin.base import Operated, ReadOnly
from portal.flows.staffing import work
from portal.flows.staffing.masking import masked
from portal.views.staff.pages import tell_acted

LONGEST_BODY = 4000
MOST_LINKS = 200


@admin.register(FetchJob)
class FetchJobAdmin(Operated):
    """Work that waits, runs or ended, and why."""

    hidden = ("url", "claim", "reason")
    actions = ("retry", "cancel", "ask_again")
    more = ("address", "why", "documents")
    list_display = ("kind", "application_information", "state", "why", "attempts", "not_before", "finished_at")
    list_filter = ("state", "kind", "application_information")
    list_select_related = ("application_information",)
    date_hierarchy = "created_at"

    @admin.display(description="Reason")
    def why(self, job: FetchJob) -> str:
        """In words. It may repeat a link of the file, whose ids can be account numbers."""
        return masked(job.reason)

    @admin.display(description="Documents")
    def documents(self, job: FetchJob) -> str:
        """What it brought, or was sent and refused."""
        found = job.documents.order_by("pk")
        rows = ((reverse("admin:espi_document_change", args=[each.pk]), each) for each in found)
        return format_html_join("\n", '<div><a href="{}">{}</a></div>', rows) or "None"

    @admin.display(description="Address")
    def address(self, job: FetchJob) -> str:
        """Where it asks, without the query."""
        return masked(job.url)

    @admin.action(description="Try again now", permissions=["operate"])
    def retry(self, request: HttpRequest, jobs: QuerySet[FetchJob]) -> None:
        """What failed or waits, as if it had just been asked for."""
        tell_acted(request, work.RETRY, list(jobs))

    @admin.action(description="Cancel", permissions=["operate"])
    def cancel(self, request: HttpRequest, jobs: QuerySet[FetchJob]) -> None:
        """What has not ended yet."""
        tell_acted(request, work.CANCEL, list(jobs))

    @admin.action(description="Ask again", permissions=["operate"])
    def ask_again(self, request: HttpRequest, jobs: QuerySet[FetchJob]) -> None:
        """The same once more, for what has ended."""
        tell_acted(request, work.ASK_AGAIN, list(jobs))


@admin.register(Notification)
class NotificationAdmin(Operated):
    """What was posted to us, masked."""

    hidden = ("body", "refused_urls")
    actions = ("replay",)
    more = ("beginning", "refused", "jobs")
    list_display = ("application_information", "state", "reason", "received_at", "source_address")
    list_filter = ("state", "application_information")
    list_select_related = ("application_information",)
    date_hierarchy = "received_at"

    @admin.display(description="Body")
    def beginning(self, notification: Notification) -> str:
        """The first characters, as text."""
        text = bytes(notification.body[: LONGEST_BODY * 4]).decode("utf-8", errors="replace")
        return masked(text[:LONGEST_BODY])

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
        tell_acted(request, work.REPLAY, list(notifications))


@admin.register(Document)
class DocumentAdmin(ReadOnly):
    """What arrived: its size, where from, and what was found in it. Of contents, only those that were refused.

    What a customer called his file may be his name or street.
    """

    hidden = ("url", "refusal", "file_name")
    actions = ("download",)
    more = ("address", "refused", "left_out", "contradictions", "beginning")
    list_display = (
        "received_at",
        "application_information",
        "subscription",
        "size",
        "refused",
        "left_out",
        "contradictions",
    )
    list_filter = ("application_information",)
    search_fields = ("public_id", "sha256")
    list_select_related = ("application_information", "subscription")
    date_hierarchy = "received_at"

    @admin.display(description="Address")
    def address(self, document: Document) -> str:
        """Where it came from, without the query."""
        return masked(document.url) or "-"

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
        self.log_change(request, document, "Downloaded.")
        headers = {
            "Content-Disposition": f'attachment; filename="{document.public_id}.bin"',
            "Cache-Control": "no-store",
        }
        return StreamingHttpResponse(archive.content(document), "application/octet-stream", headers=headers)
