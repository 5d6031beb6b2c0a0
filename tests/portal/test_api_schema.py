"""Every answer of the API is as its OpenAPI document says, whatever is asked; none is a fault of ours."""

import json
from urllib.parse import urlencode

import pytest
import requests
import schemathesis
from django.core.serializers.json import DjangoJSONEncoder
from django.test import Client
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from espi import ingest, models, usage
from portal import limits
from portal.api.operations import api
from portal.models import User
from tests.espi import documents
from tests.espi.documents import BASE, MIDNIGHT, block, customer, entry, reading
from tests.portal.test_api import NOW, secret

CHECKS = (not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance)
schema = schemathesis.openapi.from_dict(json.loads(json.dumps(api.get_openapi_schema(), cls=DjangoJSONEncoder)))
few = settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture
def held(db, monkeypatch):
    """A token, and the ids of what its owner has: readings, one of them corrected, bills, customer data."""
    monkeypatch.setattr(limits, "API_CALLS_AN_HOUR", 100_000)
    user = User.objects.create_user("ann@example.com")
    subscription = models.Subscription.objects.create(retail_customer=user, utility="pge", time_zone="America/New_York")
    place = f"{BASE}/RetailCustomer/1/Customer/1/CustomerAccount/1/CustomerAgreement/1/ServiceLocation/1"
    contents = [
        [documents.hours(24, published="2026-01-16T00:00:00Z"), documents.bill(MIDNIGHT, 86400, (24, 0, 72))],
        [block([reading(MIDNIGHT, 7, cost=5, quality=8, tou=2)], published="2026-01-18T00:00:00Z")],
        [entry(customer("ServiceLocation", "<mainAddress><town>1</town></mainAddress>"), place)],
    ]
    for content in contents:
        ingest.store(documents.feed(*content), subscription=subscription, now=NOW)
    point = models.UsagePoint.objects.get()
    (channel,) = usage.channels(point)
    ids = {"usage_point": point.public_id, "channel": channel.public_id, "connection": subscription.public_id}
    return secret(user), {name: str(each) for name, each in ids.items()}


def ask(case, token):
    """The status of the answer, which is as the document says."""
    address = f"{case.formatted_path}?{urlencode(case.query or {}, doseq=True)}"
    headers = {"Authorization": f"Bearer {token}"}
    given = Client(raise_request_exception=False).generic("GET", address, headers=headers)
    request = requests.Request("GET", f"http://testserver{address}", headers=headers).prepare()
    answer = schemathesis.Response(
        given.status_code,
        {name.lower(): [value] for name, value in given.items()},
        given.content,
        request,
        0.0,
        verify=True,
    )
    case.validate_response(answer, checks=list(CHECKS))
    return given.status_code


@schema.parametrize()
@few
def test_every_answer_about_what_is_ones_own_is_as_the_document_says(case, held):
    token, ids = held
    case.path_parameters = {name: ids[name] for name in case.path_parameters or {}}
    assert ask(case, token) in (200, 422)


@schema.parametrize()
@few
def test_every_answer_about_anything_else_is_as_the_document_says(case, held):
    token, _ = held
    has_ids = bool(case.path_parameters)
    assert ask(case, token) in ((404, 422) if has_ids else (200, 422))
    assert ask(case, "smm_" + "x" * 43) in (401, 429)
