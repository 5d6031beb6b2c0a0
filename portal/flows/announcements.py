"""Announced addresses: which of them are fetched, and for whom. Sets of rows: a few statements, however many there are."""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import unquote, urlsplit

from django.db import DataError, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

import utilities
from espi.models import ApplicationInformation, Authorization, FetchJob, MeterReading, Notification
from portal.flows import fetch
from utilities.base import Utility
from utilities.oauth import UntrustedAddress

State, Kind, Priority = FetchJob.State, FetchJob.Kind, FetchJob.Priority
MOST_WAITING = 5000  # downloads of one registration, and four more for each of its connections
LONGEST_URL = 2048
IDENTIFIER = re.compile(r"[!-~]{1,255}")  # of a subscription or authorization
UNFIT = "It holds something that cannot be looked up."
FILE_LIFE = timedelta(hours=48)  # Con Edison keeps an announced file this long; an older announcement is a new one

REGISTRATION_PATH = re.compile(r"/resource/ApplicationInformation(/|$)")

Refused = dict[str, str]  # an address, and why it leads to no job


class NotOurs(Exception):
    """An address or event that leads to no job; the reason in words."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Announced:
    """An address that may be fetched. `id_` is what it names: of an authorization where it leads to one, else of a subscription."""

    url: str
    kind: str
    token_class: str
    id_: str

    @property
    def column(self) -> str:
        """What of an Authorization `id_` is."""
        return "utility_authorization_id" if self.kind == Kind.AUTHORIZATION else "utility_subscription_id"


def jobs_of_urls(notification: Notification, urls: Sequence[str], now: datetime) -> tuple[list[FetchJob], Refused]:
    """Jobs for those that nobody fetches yet, and why others lead to none. The addresses are distinct.

    One that the database refuses to look up costs only itself: halves of them are tried then.
    """
    try:
        with transaction.atomic():
            return made(notification, urls, now)
    except (DataError, ValueError):
        if len(urls) == 1:
            return [], {urls[0]: UNFIT}
    half = len(urls) // 2
    jobs, refused = jobs_of_urls(notification, urls[:half], now)
    more, others = jobs_of_urls(notification, urls[half:], now)
    return jobs + more, refused | others


def made(notification: Notification, urls: Sequence[str], now: datetime) -> tuple[list[FetchJob], Refused]:
    """The same, all or nothing."""
    app = notification.application_information
    judged, refused = fetchable(app, urls)
    unknown = not_known(app, judged, now)
    owners, room, jobs = Owners(app, unknown), Room(app, len(unknown)), []
    for each in unknown:
        try:
            whose = owners.of(each)
            room.take(each)
        except NotOurs as error:
            refused[each.url] = error.reason
            continue
        jobs.append(
            FetchJob(
                application_information=app,
                authorization=whose,
                notification=notification,
                kind=each.kind,
                priority=owners.urgency(each, whose),
                token_class=each.token_class,
                url=address(each, whose),
                not_before=now,
            )
        )
    return fetch.enqueue(jobs), refused


# --- What an address is -----------------------------------------------------------------------------------------------


def fetchable(app: ApplicationInformation, urls: Iterable[str]) -> tuple[list[Announced], Refused]:
    """Those that our rules let us fetch, and why not the others."""
    utility = utilities.get(app.utility)
    judged, refused = [], {}
    for url in urls:
        try:
            judged.append(judge(app, utility, url))
        except (NotOurs, UntrustedAddress) as error:
            refused[url] = error.reason
    return judged, refused


def judge(app: ApplicationInformation, utility: Utility, url: str) -> Announced:
    """What an address is. Raises NotOurs and UntrustedAddress for one that is nothing to fetch for a customer."""
    if len(url) > LONGEST_URL:
        raise NotOurs(f"The address has more than {LONGEST_URL} characters.")
    utility.check_url(app, url)
    path = urlsplit(url).path
    if REGISTRATION_PATH.search(path):
        raise NotOurs("It is the address of our own registration; there is nothing to fetch for a customer.")
    if why := utility.why_not_fetched(app, url):
        raise NotOurs(why)
    token_class = utility.token_class(app, url)
    match utility.path(app, url):
        case ["Authorization", id_]:
            return Announced(url, Kind.AUTHORIZATION, token_class, unquote(id_))
    return Announced(url, Kind.DOWNLOAD, token_class, utility.url_subscription_id(app, url))


def address(one: Announced, whose: Authorization | None) -> str:
    """What is fetched for it.

    How a connection stands is asked where the utility said when it was granted: the answer to a query that somebody else
    has thought of, "not found" for one, would be believed.
    """
    if one.kind != Kind.AUTHORIZATION or whose is None:
        return one.url
    return whose.authorization_uri or one.url.partition("?")[0]


def not_known(app: ApplicationInformation, judged: Sequence[Announced], now: datetime) -> list[Announced]:
    """Those that are not being fetched already, nor were within the life of an announced file.

    A file that was asked for anew under its old address (Con Edison V2, two days later) is ready now: its job goes on.
    """
    jobs = FetchJob.objects.filter(application_information=app, url__in=[each.url for each in judged])
    files = jobs.filter(kind=Kind.DOWNLOAD)
    files.filter(state=State.AWAITING_NOTIFICATION).update(state=State.DUE, not_before=now)
    is_fresh = Q(kind=Kind.DOWNLOAD, state=State.DONE, created_at__gt=now - FILE_LIFE)
    known = set(jobs.filter(Q(state__in=FetchJob.OPEN) | is_fresh).values_list("kind", "url"))
    return [each for each in judged if (each.kind, each.url) not in known]


# --- Whose it is ------------------------------------------------------------------------------------------------------


class Owners:
    """The connections that some addresses name, and the one that waits for a file whose address names nobody."""

    def __init__(self, app: ApplicationInformation, some: Sequence[Announced]) -> None:
        self.named = connections(app, some)
        is_nobodys = any(not each.id_ and each.token_class == FetchJob.TokenClass.ACCESS for each in some)
        self.waiting = fetch.waiting_authorization(app) if is_nobodys else None
        self.served = served({each.pk for each in (*self.named.values(), self.waiting) if each})

    def of(self, one: Announced) -> Authorization | None:
        """Whose data it holds; None when it names nobody. Raises NotOurs for a name we do not know or follow."""
        if not one.id_:
            return self.waiting if one.token_class == FetchJob.TokenClass.ACCESS else None
        require_identifier(one.id_)
        return require_active(self.named.get((one.column, one.id_)))

    def urgency(self, one: Announced, whose: Authorization | None) -> int:
        """The first file of a new connection is what its customer waits for; other files are kept two days and can wait."""
        if whose is None or whose.pk in self.served:
            return Priority.ANNOUNCED
        if one.kind == Kind.DOWNLOAD:
            self.served.add(whose.pk)
        return Priority.FIRST_DATA


def connections(app: ApplicationInformation, some: Iterable[Announced]) -> dict[tuple[str, str], Authorization]:
    """By column and id; of several with one id the first."""
    ids: dict[str, set[str]] = defaultdict(set)
    for each in some:
        if IDENTIFIER.fullmatch(each.id_):
            ids[each.column].add(each.id_)
    found: dict[tuple[str, str], Authorization] = {}
    for column, wanted in ids.items():
        for row in held(app).filter(**{f"{column}__in": wanted}).only("status", "authorization_uri", column):
            found.setdefault((column, getattr(row, column)), row)
    return found


def served(authorizations: Collection[int]) -> set[int]:
    """Those that have readings, or whose first file is on its way."""
    rows = Authorization.objects.filter(pk__in=authorizations)
    readings = MeterReading.objects.filter(usage_point__subscription=OuterRef("subscription"))
    first = FetchJob.objects.filter(authorization=OuterRef("pk"), kind=Kind.DOWNLOAD, priority=Priority.FIRST_DATA)
    return set(rows.filter(Exists(readings) | Exists(first)).values_list("pk", flat=True)) if authorizations else set()


def held(app: ApplicationInformation) -> QuerySet[Authorization]:
    """The connections that a utility can mean by an id."""
    rows = Authorization.objects.filter(application_information=app)
    return rows.exclude(status__in=[Authorization.Status.PARKED, Authorization.Status.SUPERSEDED]).order_by("pk")


def connection_of(app: ApplicationInformation, authorization_id: str) -> Authorization:
    """The connection that a utility means by an authorization's id. Raises NotOurs."""
    require_identifier(authorization_id)
    return require_active(held(app).filter(utility_authorization_id=authorization_id).first())


def require_identifier(id_: str) -> None:
    """Raises NotOurs for what cannot be looked up."""
    if not IDENTIFIER.fullmatch(id_):
        raise NotOurs("It names something that cannot be the id of a connection.")


def require_active(found: Authorization | None) -> Authorization:
    """Raises NotOurs unless there is such a connection, and it shares."""
    if found is None:
        raise NotOurs("It names a connection that we do not hold.")
    if found.status != Authorization.Status.ACTIVE:
        raise NotOurs(f"Its connection is not active: {found.get_status_display().lower()}.")
    return found


class Room:
    """For how many more announced files there is room; where very many wait, somebody makes them up."""

    def __init__(self, app: ApplicationInformation, wanted: int) -> None:
        files = FetchJob.objects.filter(application_information=app, kind=Kind.DOWNLOAD, state__in=FetchJob.OPEN)
        self.left = MOST_WAITING - files.count()
        if self.left < wanted:
            active = Authorization.objects.filter(application_information=app, status=Authorization.Status.ACTIVE)
            self.left += 4 * active.count()

    def take(self, one: Announced) -> None:
        """Raises NotOurs where there is none."""
        if self.left <= 0:
            raise NotOurs("More downloads wait than its connections can have. Replay this when they are done.")
        self.left -= one.kind == Kind.DOWNLOAD
