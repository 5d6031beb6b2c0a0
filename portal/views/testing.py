"""The acceptance tests' pages: for testers, with a second step, in the sandbox and in utilities' test environments only."""

from collections.abc import Callable
from functools import wraps
from typing import Any, cast
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

import utilities
from espi.models import ApplicationInformation
from portal import roles
from portal.acceptance import checklist, customers, packs, platforms, reports, running, sandbox, scenarios, walking
from portal.acceptance.incoming import WALK
from portal.acceptance.running import TestRefused
from portal.flows import authorize
from portal.forms import ChooseDataForm
from portal.middleware import has_totp
from portal.models import AcceptancePart, AcceptanceTest, Outcome, StaffAccess, User
from portal.testing_forms import JudgeForm, StepForm
from portal.views.connect import VISIT as VISIT_KEY
from portal.views.connect import browser, current_visit, see_other

Kind, State = AcceptancePart.Kind, AcceptancePart.State
View = Callable[..., HttpResponse]
REPORT_TYPES = {"csv": "text/csv; charset=utf-8"}


# --- Who may ---------------------------------------------------------------------------------------------------------


def tester_page(view: View) -> View:
    """A page for testers: staff who may run acceptance tests and have a second step. Refusals are said in words."""

    @wraps(view)
    def page(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        user = tester(request)
        if not (user.is_active and user.is_staff and user.has_perm(f"portal.{roles.TEST}")):
            raise PermissionDenied
        if not has_totp(user):
            messages.warning(request, "The test pages need a second step. Set up an authenticator app first.")
            return redirect("mfa_activate_totp")
        try:
            return view(request, *args, **kwargs)
        except (TestRefused, sandbox.SandboxAway) as problem:
            messages.error(request, str(problem))
            return see_other(reverse("testing:overview"))

    return never_cache(login_required(page))


def tester(request: HttpRequest) -> User:
    """Who is signed in."""
    return cast(User, request.user)


def registration(pk: int) -> ApplicationInformation:
    """A registration that can be tested. Raises Http404 for production and for unknown ones."""
    found = {app.pk: app for app in running.registrations()}
    if pk not in found:
        raise Http404
    return found[pk]


def own_test(request: HttpRequest, public_id: UUID) -> AcceptanceTest:
    """One of this tester's tests; a finished one may be read by every tester."""
    tests = AcceptanceTest.objects.select_related("application_information")
    test = get_object_or_404(tests, public_id=public_id)
    if test.finished_at is None and test.tester_id != tester(request).pk:
        raise Http404
    return test


def own_part(request: HttpRequest, public_id: UUID) -> AcceptancePart:
    """A part of one of this tester's tests."""
    parts = AcceptancePart.objects.select_related("test__application_information", "journey")
    return get_object_or_404(parts, public_id=public_id, test__tester=tester(request))


# --- The way in ------------------------------------------------------------------------------------------------------


@require_GET
@tester_page
def overview(request: HttpRequest) -> HttpResponse:
    """Every registration that can be tested, what it still lacks, and the tests there were."""
    rows = [_row(app, tester(request)) for app in running.registrations()]
    finished = AcceptanceTest.objects.exclude(finished_at=None).select_related("application_information")
    context = {"rows": rows, "finished": finished.defer("report").order_by("-finished_at")[:50]}
    return render(request, "staff/testing/overview.html", context)


def _row(app: ApplicationInformation, user: User) -> dict[str, Any]:
    utility = utilities.get(app.utility)
    mine = AcceptanceTest.objects.filter(application_information=app, tester=user, finished_at=None).first()
    return {"app": app, "utility": utility, "missing": utility.missing(app), "test": mine}


@require_POST
@tester_page
def begin(request: HttpRequest, pk: int) -> HttpResponse:
    """Begin a test, or go on with the one that is open."""
    test = running.begin(registration(pk), tester(request), now=timezone.now())
    return see_other(reverse("testing:test", args=[test.public_id]))


@require_GET
@tester_page
def test_page(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """One test: the utility's steps, and every part with how it stands."""
    test = own_test(request, public_id)
    if test.finished_at:
        return see_other(reverse("testing:report", args=[test.public_id]))
    app = test.application_information
    parts = reports.newest(test)
    offered = [(each, parts.get(f"scenario:{each.name}")) for each in scenarios.offered(app)]
    context = {
        **about(app),
        "test": test,
        "steps": reports.steps(test),
        "connectivity": parts.get(Kind.CONNECTIVITY),
        "checklist": parts.get(Kind.CHECKLIST),
        "operations": len(platforms.operations(app)),
        "ends": any(each.ends_authorization for each in platforms.operations(app)),
        "why_not_whole": checklist.why_not_whole(test),
        "connecting": [(each, part) for each, part in offered if each.connects],
        "others": [(each, part) for each, part in offered if not each.connects],
        "customer": customers.connection(test),
    }
    return render(request, "staff/testing/test.html", context)


def about(app: ApplicationInformation) -> dict[str, Any]:
    """What the banner of every page says."""
    return {"app": app, "utility": utilities.get(app.utility), "environment": app.get_environment_display()}


# --- The registration pack -------------------------------------------------------------------------------------------


@require_GET
@tester_page
def pack(request: HttpRequest, pk: int) -> HttpResponse:
    """Every value of the form, to copy; the secret part of an address is in the document only."""
    app = registration(pk)
    return render(request, "staff/testing/pack.html", {**about(app), "entries": packs.pack(app)})


@require_POST
@tester_page
def pack_document(request: HttpRequest, pk: int, form: str) -> HttpResponse:
    """The same as a document to send, exactly as sent: a page to print, or CSV. Who took it is written down."""
    app = registration(pk)
    StaffAccess.objects.create(
        at=timezone.now(),
        staff=tester(request),
        kind=StaffAccess.Kind.EXPORT,
        what=f"registration pack of registration {app.pk}",
    )
    entries = packs.pack(app)
    if form == "csv":
        rows = [("field", "value"), *((entry.field, entry.value) for entry in entries)]
        return download(reports.table(rows), f"registration-{app.utility}-{app.environment}{app.edition}.csv")
    context = {**about(app), "entries": entries, "now": timezone.now()}
    response = render(request, "staff/testing/pack_document.html", context)
    response["Cache-Control"] = "no-store"
    return response


def download(text: str, name: str) -> HttpResponse:
    """A CSV file."""
    response = HttpResponse(text, content_type=REPORT_TYPES["csv"])
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["Cache-Control"] = "no-store"
    return response


# --- Parts -----------------------------------------------------------------------------------------------------------


@require_POST
@tester_page
def start(request: HttpRequest, public_id: UUID, kind: str, name: str = "") -> HttpResponse:
    """Begin a part; a walk is kept in this browser's session until it is over."""
    test = own_test(request, public_id)
    if kind not in Kind.values or (kind == Kind.SCENARIO) != bool(name):
        raise Http404
    if name and name not in {each.name for each in scenarios.offered(test.application_information)}:
        raise Http404
    memory = {"cancel": bool(request.POST.get("cancel"))} if kind == Kind.CHECKLIST else {}
    try:
        part = running.start(test, kind, name=name, now=timezone.now(), memory=memory)
    except TestRefused as problem:
        messages.error(request, str(problem))
        return see_other(reverse("testing:test", args=[test.public_id]))
    if part.state == State.BY_HAND and scenarios.find(test.application_information, name).by_page:
        request.session[WALK] = str(part.public_id)
    return see_other(reverse("testing:part", args=[part.public_id]))


@require_GET
@tester_page
def part_page(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """A part as it stands now. Without script it is looked at again by a link; with script it looks again by itself."""
    part = own_part(request, public_id)
    if part.state == State.DONE and request.session.get(WALK) == str(part.public_id):
        del request.session[WALK]
    template = "staff/testing/scenario.html" if part.kind == Kind.SCENARIO else "staff/testing/list.html"
    return render(request, template, _part_context(part))


def _part_context(part: AcceptancePart) -> dict[str, Any]:
    test = part.test
    app = test.application_information
    lines = reports.lines(part)
    context = {
        **about(app),
        "test": test,
        "part": part,
        "lines": lines,
        "done": sum(line["outcome"] != Outcome.WAITING for line in lines),
        "is_open": part.state != State.DONE,
        "seconds": round(((part.finished_at or timezone.now()) - part.started_at).total_seconds(), 1),
    }
    if part.kind != Kind.SCENARIO:
        return context
    scenario = scenarios.find(app, part.name)
    return {
        **context,
        "scenario": scenario,
        "words": scenario.here if app.environment == walking.SANDBOX else scenario.there,
        "next_event": scenarios.next_event(part) if scenario.by_page else "",
        "hops": reports.hops(part),
        "front_page": walking.front_page(app),
        "waits": walking.waits_for_arrival(part),
        "form": data_form(app) if walking.waits_for_arrival(part) and scenario.by_page else None,
        "judge": JudgeForm() if part.state != State.DONE and _judged_by_tester(part, scenario) else None,
    }


def _judged_by_tester(part: AcceptancePart, scenario: scenarios.Scenario) -> bool:
    """Where no row of ours can tell how it went."""
    if scenario.judged_by_tester:
        return part.journey_id is not None
    return not scenario.by_page and part.state == State.BY_HAND


def data_form(app: ApplicationInformation, posted: Any = None) -> ChooseDataForm:
    """What the test customer shares: everything, unless the tester takes something away."""
    utility = utilities.get(app.utility)
    return ChooseDataForm(utility, app, posted, earlier=[choice.id for choice in utility.data_choices(app)])


@require_http_methods(["GET", "POST"])
@tester_page
def walk(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Choose what the test customer shares, then go on with the pages that every customer sees.

    Here arrives too who began at the utility: his visit goes along.
    """
    part = own_part(request, public_id)
    app = part.test.application_information
    if not walking.waits_for_arrival(part) or not scenarios.find(app, part.name).by_page:
        return see_other(reverse("testing:part", args=[part.public_id]))
    form = data_form(app, request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        return _leave(request, part, form.cleaned_data["kinds"])
    context = {**_part_context(part), "form": form, "visit": current_visit(request)}
    return render(request, "staff/testing/scenario.html", context, status=400 if form.errors else 200)


def _leave(request: HttpRequest, part: AcceptancePart, chosen: list[str]) -> HttpResponse:
    try:
        journey = walking.begin(
            part,
            tester=tester(request),
            chosen=chosen,
            browser=browser(request),
            now=timezone.now(),
            visit=current_visit(request),
        )
    except authorize.JourneyRefused as problem:
        raise TestRefused(problem.reason) from None
    request.session.pop(VISIT_KEY, None)
    request.session[WALK] = str(part.public_id)
    return see_other(reverse("connect:check", args=[journey.public_id]))


@require_POST
@tester_page
def judge(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """The tester says how a scenario went that only he could see."""
    part = own_part(request, public_id)
    form = JudgeForm(request.POST)
    if not form.is_valid():
        context = {**_part_context(part), "judge": form}
        return render(request, "staff/testing/scenario.html", context, status=400)
    cleaned = form.cleaned_data
    running.judge_by_hand(part, passed=cleaned["outcome"] == "passed", words=cleaned["seen"], now=timezone.now())
    if request.session.get(WALK) == str(part.public_id):
        del request.session[WALK]
    return see_other(reverse("testing:test", args=[part.test.public_id]))


# --- Steps and the report --------------------------------------------------------------------------------------------


@require_http_methods(["GET", "POST"])
@tester_page
def step(request: HttpRequest, public_id: UUID, key: str) -> HttpResponse:
    """Report a step that people do: who did it, and what shows it."""
    test = own_test(request, public_id)
    row = next((each for each in reports.steps(test) if each["key"] == key), None)
    if row is None:
        raise Http404
    initial = {"outcome": row["outcome"], "owner": row["owner"], "evidence": row["evidence"]}
    form = StepForm(request.POST if request.method == "POST" else None, initial=initial)
    if request.method == "POST" and form.is_valid():
        running.report_step(test, key, now=timezone.now(), **form.cleaned_data)
        return see_other(reverse("testing:test", args=[test.public_id]))
    context = {**about(test.application_information), "test": test, "step": row, "form": form}
    return render(request, "staff/testing/step.html", context, status=400 if form.errors else 200)


@require_POST
@tester_page
def finish(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Write the report. From then on it stands."""
    test = own_test(request, public_id)
    try:
        reports.finish(test, now=timezone.now())
    except TestRefused as problem:
        messages.error(request, str(problem))
        return see_other(reverse("testing:test", args=[test.public_id]))
    return see_other(reverse("testing:report", args=[test.public_id]))


@require_GET
@tester_page
def report(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """The report of a finished test, to print or to save."""
    test = own_test(request, public_id)
    if test.report is None:
        raise Http404
    context = {**about(test.application_information), "test": test, "report": test.report}
    context["is_whole"] = reports.digest(test.report) == test.digest
    return render(request, "staff/testing/report.html", context)


@require_GET
@tester_page
def report_csv(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """The report as a table."""
    test = own_test(request, public_id)
    if test.report is None:
        raise Http404
    name = f"acceptance-{test.application_information.utility}-{test.finished_at:%Y-%m-%d}.csv"
    return download(reports.as_csv(test), name)
