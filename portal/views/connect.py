"""The journey's pages, and the three addresses that utilities send people to."""

import secrets
from collections.abc import Callable
from functools import wraps
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import get_language, gettext_noop
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

import utilities
from espi.models import ApplicationInformation, AuthorizationRequest
from portal import words
from portal.acceptance.incoming import arrival_of_walk
from portal.flows import authorize, consents, offers, results, returning
from portal.forms import ArrivalForm, ChooseDataForm, ChooseUtilityForm, PostalCodeForm
from portal.middleware import allow_departure
from portal.models import Consent, User, UtilityVisit
from utilities import places
from utilities.base import Utility

BROWSER = "browser_binding"
VISIT = "utility_visit"

View = Callable[..., HttpResponse]


def see_other(address: str) -> HttpResponse:
    """303: the next request is a GET whatever this one was (never 307 or 308)."""
    response = HttpResponseRedirect(address)
    response.status_code = 303
    return response


def refused(request: HttpRequest, problem: authorize.JourneyRefused, *, status: int = 400) -> HttpResponse:
    """A page in plain words; nothing was changed."""
    restart = problem.restart
    slug = restart.application_information.utility if restart else ""
    context = {"reason": words.retold(problem.reason), "restart": restart, "slug": slug}
    return render(request, "portal/connect/refused.html", context, status=status)


def journey_page(view: View) -> View:
    """A page of somebody's open journey: signed in, never cached, refusals in words."""

    @wraps(view)
    def page(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except authorize.JourneyOver as over:
            return see_other(reverse("connect:result", args=[over.journey.public_id]))
        except authorize.JourneyRefused as problem:
            return refused(request, problem)

    return never_cache(login_required(page))


def machine_address(view: View) -> View:
    """An address that stands on registration forms: its query is private and is neither cached nor passed on (A19)."""

    @wraps(view)
    def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            if _is_prefetch(request):
                raise authorize.JourneyRefused(
                    _("Please open this page yourself; it was only looked at ahead of time.")
                )
            response = view(request, *args, **kwargs)
        except authorize.JourneyRefused as problem:
            response = refused(request, problem)
        response["Referrer-Policy"] = "no-referrer"
        response["Cache-Control"] = "no-store"
        return response

    return require_http_methods(["GET"])(answer)


def _is_prefetch(request: HttpRequest) -> bool:
    purposes = (request.headers.get(name, "") for name in ("Sec-Purpose", "Purpose", "X-Purpose", "X-Moz"))
    return any(word in purpose.lower() for purpose in purposes for word in ("prefetch", "prerender", "preview"))


def browser(request: HttpRequest) -> str:
    """A random value that lives exactly as long as this browser's session here."""
    if BROWSER not in request.session:
        request.session[BROWSER] = secrets.token_urlsafe(32)
    return request.session[BROWSER]


def customer(request: HttpRequest) -> User:
    """The signed-in customer (pages here require sign-in)."""
    assert isinstance(request.user, User)
    return request.user


def offered_or_404(slug: str) -> tuple[Utility, ApplicationInformation]:
    """The utility and the registration through which customers are offered it."""
    for utility, app in utilities.offered():
        if utility.slug == slug:
            return utility, app
    raise Http404


# --- Choosing ----------------------------------------------------------------------------------------------------


@require_GET
def choose_utility(request: HttpRequest) -> HttpResponse:
    """Which utility? Open to everybody. `?code=`: a ZIP or postal code, to find out."""
    form = PostalCodeForm(request.GET if "code" in request.GET else None)
    on_offer = offers.offers()
    context = {
        "form": form,
        "matches": places.serving(form.cleaned_data["code"]) if form.is_valid() else [],
        "offers": on_offer,
        "offered_slugs": {offer.utility.slug for offer in on_offer},
    }
    return render(request, "portal/connect/choose_utility.html", context, status=400 if form.errors else 200)


@require_http_methods(["GET", "POST"])
@journey_page
def choose_data(request: HttpRequest, slug: str) -> HttpResponse:
    """What to share. A customer who comes from the utility brings its account and dates along."""
    utility, app = offered_or_404(slug)
    visit = current_visit(request)
    visit = visit if visit and visit.utility == slug else None
    form = ChooseDataForm(utility, app, request.POST or None, earlier=_earlier_choices(request, slug))
    if request.method == "POST" and form.is_valid():
        journey = authorize.begin(
            user=customer(request),
            app=app,
            chosen=form.cleaned_data["kinds"],
            browser=browser(request),
            visit=visit,
            now=timezone.now(),
        )
        request.session.pop(VISIT, None)
        return see_other(reverse("connect:check", args=[journey.public_id]))
    return _choose_data_page(request, utility, app, form, visit)


def _choose_data_page(
    request: HttpRequest,
    utility: Utility,
    app: ApplicationInformation,
    form: ChooseDataForm,
    visit: UtilityVisit | AuthorizationRequest | None,
) -> HttpResponse:
    context = {
        "utility": utility,
        "form": form,
        "visit": visit,
        "utility_chooses": utility.utility_chooses_data(app),
        "trouble": offers.trouble(app),
    }
    return render(request, "portal/connect/choose_data.html", context, status=400 if form.errors else 200)


def _earlier_choices(request: HttpRequest, slug: str) -> list[str]:
    """The choices of a journey that ended, when its customer starts again."""
    try:
        earlier = UUID(request.GET.get("again", ""))
    except ValueError:
        return []
    journey = AuthorizationRequest.objects.filter(
        public_id=earlier, retail_customer=customer(request), application_information__utility=slug
    ).first()
    return journey.data_requested if journey else []


@require_http_methods(["GET", "POST"])
@journey_page
def change_data(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Back from the check page to choose again."""
    journey = _open(request, public_id)
    app = journey.application_information
    utility = utilities.get(app.utility)
    form = ChooseDataForm(utility, app, request.POST or None, earlier=journey.data_requested)
    if request.method == "POST" and form.is_valid():
        authorize.change_choices(journey, form.cleaned_data["kinds"])
        return see_other(reverse("connect:check", args=[journey.public_id]))
    return _choose_data_page(request, utility, app, form, journey)


def _open(request: HttpRequest, public_id: UUID) -> AuthorizationRequest:
    return authorize.open_journey(public_id, user=customer(request), browser=browser(request), now=timezone.now())


@require_http_methods(["GET", "POST"])
@journey_page
def check(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Everything that is about to be shared on one page, and the button to agree."""
    journey = _open(request, public_id)
    if request.method == "POST":
        return _agreed(request, journey)
    context = {
        "journey": journey,
        "utility": utilities.get(journey.application_information.utility),
        "chosen": consents.chosen_data(journey),
        "statement": consents.statement(journey),
        "shown": consents.shown(journey),
        "came_back": journey.departed_at is not None,
    }
    return render(request, "portal/connect/check.html", context)


def _agreed(request: HttpRequest, journey: AuthorizationRequest) -> HttpResponse:
    """Agreed, to what the page showed; if another window changed it, the page is shown again."""
    shown = request.POST.get("shown", "")
    try:
        authorize.agree(journey, shown=shown, language=get_language() or "en", now=timezone.now())
    except authorize.WordsChanged:
        messages.warning(
            request, _("What you were going to share was changed in another window. Please check it again.")
        )
        return see_other(reverse("connect:check", args=[journey.public_id]))
    return see_other(reverse("connect:leave", args=[journey.public_id]))


@require_http_methods(["GET", "POST"])
@journey_page
def leave(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Names the site the customer goes to; only a POST from here takes him there."""
    journey = _open(request, public_id)
    if request.method == "POST":
        return see_other(authorize.depart(journey, now=timezone.now()))
    app = journey.application_information
    utility = utilities.get(app.utility)
    if journey.agreed_at is None:
        return see_other(reverse("connect:check", args=[journey.public_id]))
    addresses = [address for address in (utility.login_url(app), utility.authorize_url(app)) if address]
    context = {
        "journey": journey,
        "utility": utility,
        "host": urlsplit(addresses[0]).netloc,
        "came_from_utility": journey.came_from_utility,
        "signs_in_first": bool(utility.login_url(app)) and not journey.came_from_utility,
    }
    response = render(request, "portal/connect/leave.html", context)
    return allow_departure(response, addresses)


@require_POST
@journey_page
def cancel(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """The customer thought better of it."""
    authorize.close(_open(request, public_id), AuthorizationRequest.Status.CLOSED, gettext_noop("You cancelled it."))
    return see_other(reverse("connect:result", args=[public_id]))


# --- Coming from a utility ---------------------------------------------------------------------------------------


@machine_address
def scope_selection(request: HttpRequest, slug: str = "") -> HttpResponse:
    """The registered scope-selection URI (onboarding document 2.1.1, step 4). Keeps what it brings and cleans the address.

    `DataCustodianID` is the constant ConEdison for both Con Edison and O&R, so it never selects an address (A24).
    """
    form = ArrivalForm(request.GET)
    if not form.is_valid():
        raise authorize.JourneyRefused(
            _("The address you came with is not one your utility would send:")
            + " "
            + " ".join(str(error) for errors in form.errors.values() for error in errors)
        )
    return _arrived(request, form.arrival(), slug if slug in {u.slug for u, _app in utilities.offered()} else "")


@machine_address
def third_party_portal(request: HttpRequest, slug: str) -> HttpResponse:
    """Where a customer lands who picked us on the utility's site (PG&E); its query carries nothing we need."""
    if not arrival_of_walk(request):
        offered_or_404(slug)
    return _arrived(request, authorize.Arrival(), slug)


def _arrived(request: HttpRequest, arrival: authorize.Arrival, slug: str) -> HttpResponse:
    visit = authorize.arrive(arrival, utility=slug, now=timezone.now())
    request.session[VISIT] = str(visit.public_id)
    return see_other(reverse("connect:arrival"))


def current_visit(request: HttpRequest) -> UtilityVisit | None:
    """The visit this browser came with, while it lasts."""
    kept = request.session.get(VISIT)
    return UtilityVisit.objects.filter(public_id=kept, expires_at__gt=timezone.now()).first() if kept else None


@never_cache
@require_http_methods(["GET", "POST"])
def arrival(request: HttpRequest) -> HttpResponse:
    """Where a visit from a utility goes on: sign in, say which utility, or go back to the check page."""
    visit = current_visit(request)
    if visit is None:
        problem = authorize.JourneyRefused(
            _("Your visit from the utility has ended. Please start again here or there.")
        )
        return refused(request, problem)
    if not request.user.is_authenticated:
        return render(request, "portal/connect/arrival_sign_in.html", {"visit": visit})
    if walk := arrival_of_walk(request):
        return see_other(walk)
    journey = authorize.journey_at_login(user=customer(request), browser=browser(request), now=timezone.now())
    if journey and visit.utility in ("", journey.application_information.utility):
        authorize.attach_visit(journey, visit, now=timezone.now())
        request.session.pop(VISIT, None)
        return see_other(reverse("connect:check", args=[journey.public_id]))
    return _which_utility(request, visit)


def _which_utility(request: HttpRequest, visit: UtilityVisit) -> HttpResponse:
    if visit.utility:
        return see_other(reverse("connect:choose-data", args=[visit.utility]))
    candidates = [(utility, app) for utility, app in utilities.offered() if utility.uses_scope_selection]
    form = ChooseUtilityForm([utility for utility, _app in candidates], request.POST or None)
    if request.method == "POST" and form.is_valid():
        visit.utility = form.cleaned_data["utility"]
        visit.save(update_fields=["utility"])
        return see_other(reverse("connect:choose-data", args=[visit.utility]))
    context = {"visit": visit, "form": form, "candidates": candidates}
    return render(request, "portal/connect/which_utility.html", context, status=400 if form.errors else 200)


# --- Coming back -------------------------------------------------------------------------------------------------


@machine_address
def callback(request: HttpRequest, slug: str) -> HttpResponse:
    """The redirect URI. The code is exchanged here and now: Con Edison's may live for 60 seconds."""
    answer = returning.read_callback(dict(request.GET.lists()))
    if not request.user.is_authenticated:
        raise authorize.JourneyRefused(
            _("You are no longer signed in here, so we did not use the utility's answer. Nothing was shared with us.")
        )
    journey = returning.find_journey(
        answer, slug=slug, user=customer(request), browser=browser(request), now=timezone.now()
    )
    returning.complete(journey, answer, now=timezone.now())
    return see_other(reverse("connect:result", args=[journey.public_id]))


@require_GET
@never_cache
@login_required
def result(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """How the journey ended, and whether anything was shared. The same page however often it is opened."""
    journey = get_object_or_404(
        AuthorizationRequest.objects.select_related("application_information", "authorization__subscription"),
        public_id=public_id,
        retail_customer=customer(request),
    )
    results.wait_until_answered(journey)
    context = {
        "journey": journey,
        "utility": utilities.get(journey.application_information.utility),
        "result": results.describe(journey),
        "reason": words.retold(journey.reason),
        "consent": Consent.objects.filter(request=journey).first(),
        "granted": results.granted(journey),
        "missing": results.not_granted(journey),
        "not_collected": results.not_collected(journey),
    }
    return render(request, "portal/connect/result.html", context)
