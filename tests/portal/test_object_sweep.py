"""Every address of the site that names a row, found in its own URL map: nobody but the owner gets anything there."""

import re
from datetime import timedelta
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import URLPattern, get_resolver
from django.utils import timezone

from espi import usage
from espi.models import AuthorizationRequest
from portal.flows import api_tokens
from portal.models import Consent, Export, User
from tests.portal import rows
from tests.portal.people import staff

pytestmark = pytest.mark.django_db
# Staff pages (tests/portal/test_admin.py), testers' pages (tests/journeys/test_acceptance.py), django-allauth's own pages,
# and addresses that machines call with a secret.
OTHERS = re.compile(r"staff/|testing/|account/(?!tokens)|espi/1_1/|__debug__/|static/")
UUIDS = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
# A utility's page: the same for everybody. A signed address that ends letters: whoever holds it may (RFC 8058).
WITHOUT_OWNER = {"connect/<slug:slug>", "letters/unsubscribe/<str:token>"}


def patterns(resolver, before=""):
    """Every pattern with a part that varies, as `path` and `re_path` write it."""
    for each in resolver.url_patterns:
        route = before + str(each.pattern)
        if isinstance(each, URLPattern):
            if "<" in route or "(" in route:
                yield route
        else:
            yield from patterns(each, route)


def ours():
    return sorted({each for each in patterns(get_resolver()) if not OTHERS.match(each)} - WITHOUT_OWNER)


class Owner:
    """A customer who has one of everything."""

    def __init__(self):
        self.user = rows.customer("owner@example.com")
        registration = rows.registration(is_offered=True)
        self.authorization = rows.authorization(registration, user=self.user)
        self.stopped = rows.authorization(registration, "977", user=self.user, status="withdrawn")
        self.point = rows.usage_point(self.user, utility="")
        self.channel_row = rows.channel(self.point)
        rows.day(self.channel_row, "2025-01-15", [1] * 24)
        self.journey = AuthorizationRequest.objects.create(
            retail_customer=self.user,
            application_information=registration,
            profile_version="x",
            browser_hash="x",
            expires_at=timezone.now() + timedelta(hours=1),
        )
        self.consent = Consent.objects.create(
            retail_customer=self.user,
            reference="AAAA-BBBB",
            utility="cecony",
            environment="sandbox",
            text_version="x",
            statement="x",
            agreed_at=timezone.now(),
        )
        self.export = Export.objects.create(
            retail_customer=self.user,
            kind="everything",
            state="ready",
            not_before=timezone.now(),
            asked_at=timezone.now(),
            content_type="application/zip",
        )
        self.token, self.secret = api_tokens.create(self.user, "x", days=None, now=timezone.now())

    def addresses(self):
        """A row of the owner's for every pattern; a new pattern has to be told here what it names."""
        channel = usage.channels(self.point)[0]
        meter = f"api/v1/usage-points/{self.point.public_id}"
        return {
            "account/tokens/<uuid:public_id>/take-back": f"account/tokens/{self.token.public_id}/take-back",
            "api/v1/connections/<connection>/customer-data": (
                f"api/v1/connections/{self.point.subscription.public_id}/customer-data"
            ),
            "api/v1/usage-points/<usage_point>": meter,
            "api/v1/usage-points/<usage_point>/bills": f"{meter}/bills",
            "api/v1/usage-points/<usage_point>/channels": f"{meter}/channels",
            "api/v1/usage-points/<usage_point>/channels/<channel>/readings": (
                f"{meter}/channels/{channel.public_id}/readings"
            ),
            "api/v1/usage-points/<usage_point>/channels/<channel>/revisions": (
                f"{meter}/channels/{channel.public_id}/revisions"
            ),
            "api/v1/usage-points/<usage_point>/daily": f"{meter}/daily",
            "api/v1/usage-points/<usage_point>/monthly": f"{meter}/monthly",
            **{
                f"connect/{step}/<uuid:public_id>": f"connect/{step}/{self.journey.public_id}"
                for step in ("cancel", "change", "check", "leave", "result")
            },
            "connections/<uuid:public_id>/renew": f"connections/{self.authorization.public_id}/renew",
            "connections/<uuid:public_id>/stop": f"connections/{self.authorization.public_id}/stop",
            "connections/<uuid:public_id>/stopped": f"connections/{self.stopped.public_id}/stopped",
            "data/<uuid:public_id>/delete": f"data/{self.point.subscription.public_id}/delete",
            "download/prepared/<uuid:public_id>": f"download/prepared/{self.export.public_id}",
            "receipts/<uuid:public_id>": f"receipts/{self.consent.public_id}",
            "receipts/<uuid:public_id>/file": f"receipts/{self.consent.public_id}/file",
            "usage/<uuid:public_id>": f"usage/{self.point.public_id}",
            **{
                f"usage/<uuid:public_id>/{page}": f"usage/{self.point.public_id}/{page}"
                for page in ("bills", "patterns")
            },
        }


@pytest.fixture
def owner():
    return Owner()


def test_b09_every_address_that_names_a_row_is_classified(owner):
    assert ours() == sorted(owner.addresses())


def test_b09_the_owner_finds_his_rows_there(owner):
    """Or the sweep below would find nothing either."""
    client = Client(headers={"Authorization": f"Bearer {owner.secret}"})
    client.force_login(owner.user)
    for address in owner.addresses().values():
        assert client.get(f"/{address}").status_code != 404, address


@pytest.mark.parametrize("method", ["get", "post"])
def test_b09_somebody_else_and_nobody_get_nothing_anywhere(owner, method):
    eve = User.objects.create_user("eve@example.com")
    _, secret = api_tokens.create(eve, "x", days=None, now=timezone.now())
    stranger = Client(headers={"Authorization": f"Bearer {secret}"})
    stranger.force_login(eve)
    before = state(owner)
    for address in owner.addresses().values():
        answer = getattr(stranger, method)(f"/{address}")
        assert answer.status_code in (400, 403, 404, 405), address
        nothing = getattr(stranger, method)(f"/{UUIDS.sub(str(uuid4()), address)}")
        assert shape(answer) == shape(nothing), address  # not even that it is there
        anonymous = getattr(Client(), method)(f"/{address}")
        assert anonymous.status_code in (302, 303, 401, 403, 404, 405), address
        if anonymous.status_code in (302, 303):
            assert anonymous["Location"].startswith("/account/login/"), address
    assert state(owner) == before


def staff_pages():
    """Every staff page with a part that varies, with some row's number or a word in its place."""
    routes = [each for each in patterns(get_resolver()) if each.startswith("staff/")]
    filled = {re.sub(r"<(?:\w+:)?\w+>", "1", each) for each in routes}
    return sorted(each for each in filled if not re.search(r"[(\\^$]", each))


def test_b09_every_staff_page_is_closed_to_everybody_without_its_right(owner):
    pages = staff_pages()
    assert len(pages) > 50
    clerk, customer, nobody = Client(), Client(), Client()
    clerk.force_login(staff("clerk@example.com", is_superuser=False))
    customer.force_login(owner.user)
    for page in pages:
        assert nobody.get(f"/{page}").status_code in (302, 404), page
        assert customer.get(f"/{page}").status_code in (302, 403, 404), page
        answer = clerk.get(f"/{page}")
        assert answer.status_code in (302, 403, 404), page
        assert answer.status_code != 302 or not answer["Location"].startswith("/static"), page


def shape(answer):
    """What is told, without what differs from request to request."""
    text = re.sub(r'value="[^"]*"|data-token="[^"]*"|nonce="[^"]*"', "", answer.content.decode())
    return answer.status_code, UUIDS.sub("", text)


def state(owner):
    owner.authorization.refresh_from_db()
    owner.journey.refresh_from_db()
    return (
        owner.authorization.status,
        owner.journey.status,
        owner.user.api_tokens.count(),
        owner.channel_row.interval_blocks.count(),
    )
