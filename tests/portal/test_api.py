"""The read-only API: what a token's owner gets, what nobody else gets, and every refusal in words."""

import io
import json
import logging
import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from django.db import OperationalError
from django.test import Client
from django.utils import timezone

from espi import ingest, models, usage
from portal import limits
from portal.api import operations, schemas
from portal.flows import api_tokens, exports
from portal.models import ApiToken, User
from tests.espi import documents
from tests.espi.documents import MIDNIGHT, block, reading
from tests.espi.exported import PERIOD, bill
from tests.portal import rows

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
API = "/api/v1"


def store(user, *content, **codes):
    subscription, _ = models.Subscription.objects.get_or_create(
        retail_customer=user, utility="pge", defaults={"time_zone": "America/New_York"}
    )
    ingest.store(documents.feed(*content, **codes), subscription=subscription, now=NOW)
    return models.UsagePoint.objects.get(subscription=subscription)


def secret(user, name="home", **more):
    return api_tokens.create(user, name, **({"days": None, "now": timezone.now()} | more))[1]


class Caller:
    """A program with a token."""

    def __init__(self, token):
        self.client = Client(raise_request_exception=False)
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}

    def answer(self, path, method="get", **query):
        return (
            self.client.generic(
                method.upper(),
                path if path.startswith("/api") else f"{API}{path}",
                headers=self.headers,
                QUERY_STRING="",
            )
            if not query
            else getattr(self.client, method)(f"{API}{path}", query, headers=self.headers)
        )

    def get(self, path, **query):
        answer = self.answer(path, **query)
        assert answer.status_code == 200, answer.content
        return answer.json()


@pytest.fixture
def ada():
    return rows.customer()


@pytest.fixture
def point(ada):
    """A meter of ada's with three days of hours, a quality, costs and a bill."""
    first = block([reading(MIDNIGHT, -1500, cost=250000, quality=8, tou=2)])
    hours = documents.hours(71, MIDNIGHT + 3600)
    return store(ada, first, hours, bill(PERIOD + ITEM), powerOfTenMultiplier=-3, currency=840)


ITEM = (
    "<billLastPeriod>13127000</billLastPeriod><costAdditionalDetailLastPeriod><amount>-150000</amount><note>Solar</note>"
    "<measurement><powerOfTenMultiplier>-3</powerOfTenMultiplier><uom>72</uom><value>12345</value></measurement>"
    "<itemKind>6</itemKind></costAdditionalDetailLastPeriod><currency>840</currency><overallConsumptionLastPeriod>"
    "<powerOfTenMultiplier>3</powerOfTenMultiplier><uom>72</uom><value>420</value></overallConsumptionLastPeriod>"
)


@pytest.fixture
def caller(ada):
    return Caller(secret(ada))


@pytest.fixture
def channel(point):
    return usage.channels(point)[0]


def addresses(point, channel):
    """Every operation of the OpenAPI document, with this meter and channel."""
    paths = operations.api.get_openapi_schema()["paths"]
    ids = {
        "connection": point.subscription.public_id,
        "usage_point": point.public_id,
        "channel": channel.public_id,
    }
    return [path.format(**ids) for path in paths]


# --- What is there ---------------------------------------------------------------------------------------------------


def test_a_meter_is_told_with_its_days_and_its_connection(caller, point):
    (told,) = caller.get("/usage-points")
    assert told == {
        "id": str(point.public_id),
        "name": "Electricity",
        "connection": str(point.subscription.public_id),
        "service": "electricity",
        "time_zone": "America/New_York",
        "first_date": "2026-01-15",
        "last_date": "2026-01-17",
        "has_bills": True,
    }
    assert caller.get(f"/usage-points/{point.public_id}") == told


def test_a_channel_says_what_its_numbers_are(caller, point, channel):
    assert caller.get(f"/usage-points/{point.public_id}/channels") == [
        {
            "id": str(channel.public_id),
            "measurement": "energy",
            "flow_direction": "delivered",
            "unit": "Wh",
            "currency": "USD",
            "is_register": False,
            "is_addable": True,
            "interval_lengths": [3600],
            "first_date": "2026-01-15",
            "last_date": "2026-01-17",
        }
    ]


def readings(caller, point, channel, **query):
    return caller.get(f"/usage-points/{point.public_id}/channels/{channel.public_id}/readings", **query)


def test_a_reading_is_an_exact_decimal_at_a_local_time(caller, point, channel):
    told = readings(caller, point, channel, limit=2)
    assert told["channel"]["unit"] == "Wh"
    assert told["readings"] == [
        {
            "start": "2026-01-15T00:00:00-05:00",
            "start_epoch": MIDNIGHT,
            "duration": 3600,
            "value": "-1.5",
            "quality": "estimated from a similar day",
            "quality_code": 8,
            "cost": "2.5",
            "tou": 2,
            "consumption_tier": None,
            "cpp": None,
        },
        {
            "start": "2026-01-15T01:00:00-05:00",
            "start_epoch": MIDNIGHT + 3600,
            "duration": 3600,
            "value": "0.1",
            "quality": None,
            "quality_code": None,
            "cost": None,
            "tou": None,
            "consumption_tier": None,
            "cpp": None,
        },
    ]


def test_following_next_gives_every_reading_once(caller, point, channel):
    odd = [reading(MIDNIGHT + 5400, 77, duration=0), reading(MIDNIGHT + 5400, 78, duration=30 * 86400)]
    store(point.subscription.retail_customer, block(odd), powerOfTenMultiplier=-3)
    found, told = [], readings(caller, point, channel, limit=7, start="2026-01-15", end="2026-01-18")
    while True:
        found += told["readings"]
        if not told["next"]:
            break
        assert told["next"].startswith(f"http://localhost:8000{API}/usage-points/")
        assert len(told["readings"]) == 7
        told = caller.get(told["next"].removeprefix(f"http://localhost:8000{API}"))
    whole = readings(caller, point, channel, limit=10_000)
    assert whole["next"] is None
    assert found == whole["readings"]
    assert len(found) == 74


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ({}, 72),
        ({"start": "2026-01-16"}, 48),
        ({"end": "2026-01-16"}, 24),
        ({"start": "2026-01-16", "end": "2026-01-17"}, 24),
        ({"start": "2031-01-01"}, 0),
        ({"start": "1990-01-01", "end": "2100-12-31"}, 72),
    ],
)
def test_a_range_is_of_local_days(caller, point, channel, query, count):
    assert len(readings(caller, point, channel, **query)["readings"]) == count


def test_days_add_up_and_say_whether_they_are_whole(caller, point):
    ((told),) = caller.get(f"/usage-points/{point.public_id}/daily")
    assert [day["date"] for day in told["days"]] == ["2026-01-15", "2026-01-16", "2026-01-17"]
    first = told["days"][0]
    assert (first["readings"], first["is_complete"], first["cost"]) == (24, True, "2.5")
    assert Decimal(first["value"]) == Decimal("-1.5") + sum(Decimal(100 + index) for index in range(23)) / 1000
    ((told),) = caller.get(f"/usage-points/{point.public_id}/daily", start="2026-01-16", end="2026-01-17")
    assert [day["date"] for day in told["days"]] == ["2026-01-16"]


def test_months_add_up(caller, point):
    ((told),) = caller.get(f"/usage-points/{point.public_id}/monthly")
    (month,) = told["months"]
    assert (month["month"], month["days"], month["is_complete"]) == ("2026-01-01", 3, False)
    days = caller.get(f"/usage-points/{point.public_id}/daily")[0]["days"]
    assert Decimal(month["value"]) == sum(Decimal(day["value"]) for day in days)


def test_a_bill_is_told_with_its_items(caller, point):
    (told,) = caller.get(f"/usage-points/{point.public_id}/bills")["bills"]
    assert told == {
        "period_start": "2026-01-15T00:00:00-05:00",
        "period_start_epoch": MIDNIGHT,
        "period_duration": 30 * 86400,
        "commodity": None,
        "consumption": "420000",
        "unit": "Wh",
        "cost": "131.27",
        "cost_to_date": None,
        "additional_cost": None,
        "currency": "USD",
        "quality": None,
        "tariff": None,
        "items": [
            {"note": "Solar", "kind": "energy generation credit", "cost": "-1.5", "quantity": "12.345", "unit": "Wh"}
        ],
    }


def test_following_next_gives_every_bill_once(caller, point):
    for number in range(1, 6):
        period = f"<billingPeriod><duration>60</duration><start>{MIDNIGHT + number // 2 * 60}</start></billingPeriod>"
        store(point.subscription.retail_customer, bill(f"{period}<commodity>{number}</commodity>", str(number)))
    path, found = f"/usage-points/{point.public_id}/bills?limit=2", []
    while path:
        told = caller.get(path)
        found += [(each["period_start_epoch"] - MIDNIGHT, each["commodity"]) for each in told["bills"]]
        path = (told["next"] or "").removeprefix(f"http://localhost:8000{API}")
    names = ["electricity", "electricity (primary metered)", "3", "4", "5"]
    assert found == [*zip((0, 60, 60, 120, 120), names, strict=True)]


def test_a_meter_that_was_joined_to_another_is_asked_for_at_that_ones_address(caller, point, channel):
    former = uuid4()
    models.FormerUsagePoint.objects.create(public_id=former, usage_point=point)
    series = usage.channel_id(former, channel.id)
    for path in ("", "/daily?start=2026-01-15", "/bills", f"/channels/{series}/readings?limit=5"):
        answer = caller.answer(f"/usage-points/{former}{path}")
        assert (answer.status_code, answer.json()["error"]) == (308, "moved")
        since = path.replace(str(series), str(channel.public_id))
        assert answer["Location"] == f"{API}/usage-points/{point.public_id}{since}"
        assert caller.answer(answer["Location"]).status_code == 200


def test_nobody_is_told_where_another_ones_meter_went(caller, point):
    other = store(rows.customer("eve@example.com"), documents.hours(1))
    former = uuid4()
    models.FormerUsagePoint.objects.create(public_id=former, usage_point=other)
    assert caller.answer(f"/usage-points/{former}").status_code == 404


def test_connections_are_told_as_the_dashboard_tells_them(ada):
    authorization = rows.authorization(rows.registration(), end_date=date(2027, 1, 1))
    (told,) = Caller(secret(ada)).get("/connections")
    assert told == {
        "id": str(authorization.subscription.public_id),
        "name": "Con Edison (CECONY)",
        "utility": "cecony",
        "state": "Connected",
        "detail": told["detail"],
        "connected_on": told["connected_on"],
        "allowed_until": "2027-01-01",
        "usage_points": [],
    }
    assert "We have asked your utility" in told["detail"]


def test_nothing_is_an_empty_list(ada):
    caller = Caller(secret(ada))
    assert caller.get("/connections") == caller.get("/usage-points") == []
    empty = rows.usage_point(ada)
    for kind in ("channels", "daily", "monthly"):
        assert caller.get(f"/usage-points/{empty.public_id}/{kind}") == []
    assert caller.get(f"/usage-points/{empty.public_id}/bills") == {"bills": [], "next": None}


def floats(value):
    if isinstance(value, dict):
        return any(map(floats, value.values()))
    return any(map(floats, value)) if isinstance(value, list) else isinstance(value, float)


def test_no_answer_holds_a_float_or_anything_but_what_the_document_says(caller, point, channel):
    document = operations.api.get_openapi_schema()
    for address, told in zip(addresses(point, channel), document["paths"].values(), strict=True):
        answer = caller.answer(address)
        assert answer.status_code == 200, address
        assert not floats(json.loads(answer.content)), address
        schema = told["get"]["responses"][200]["content"]["application/json"]["schema"]
        is_list = "items" in schema
        name = (schema["items"] if is_list else schema)["$ref"].rpartition("/")[2]
        members = answer.json() if is_list else [answer.json()]
        assert members, address
        for each in members:
            model = getattr(schemas, name)
            assert model.model_validate(each, strict=False).model_dump(mode="json") == each


@pytest.mark.parametrize("odd", ["1.5 USD", {"a": 1}, None, True, 2.5])
def test_line_items_that_are_not_what_they_should_be_break_nothing(caller, point, odd):
    point.usage_summaries.update(
        details=[
            odd,
            {"amount": odd, "note": odd, "itemKind": odd, "measurement": odd},
            {"measurement": {"value": odd}},
        ]
    )
    told = caller.get(f"/usage-points/{point.public_id}/bills")
    assert not floats(told)


# --- Whose it is -----------------------------------------------------------------------------------------------------


def test_b09_another_customers_data_is_not_there(point, channel):
    eve = User.objects.create_user("eve@example.com")
    mine = store(eve, documents.hours(3))
    caller = Caller(secret(eve))
    for address in addresses(point, channel):
        answer = caller.answer(address)
        if str(point.public_id) in address:
            assert answer.status_code == 404, address
            assert answer.json() == {"error": "not_found", "message": "There is nothing of yours at this address."}
        else:
            assert str(point.public_id) not in answer.content.decode()
    crossed = f"/usage-points/{mine.public_id}/channels/{channel.public_id}/readings"
    assert caller.answer(crossed).status_code == 404


@pytest.mark.parametrize("token", ["", "smm_wrong", "x" * 20_000, "\x00", "Zürich", "smm_" + "a" * 43])
def test_without_a_token_that_we_know_nothing_is_told(point, channel, token):
    for address in addresses(point, channel):
        answer = Caller(token).answer(address)
        assert answer.status_code == 401, address
        assert answer["WWW-Authenticate"].startswith("Bearer")
        assert answer["Content-Type"].startswith("application/json")
        assert set(answer.json()) == {"error", "message"}


def test_being_signed_in_is_no_token(ada, point):
    client = Client()
    client.force_login(ada)
    assert client.get(f"{API}/usage-points").status_code == 401
    basic = client.get(f"{API}/usage-points", headers={"Authorization": f"Basic {secret(ada)}"})
    assert basic.status_code == 401


def test_an_expired_token_says_so_and_opens_nothing(ada, point):
    expired = secret(ada, days=30, now=timezone.now() - timedelta(days=31))
    answer = Caller(expired).answer("/usage-points")
    assert answer.status_code == 401
    assert "expired" in answer.json()["message"]


def test_a_token_taken_back_opens_nothing_from_the_next_request_on(ada, caller, point):
    assert caller.get("/usage-points")
    api_tokens.revoke(ada, ApiToken.objects.get().public_id)
    assert caller.answer("/usage-points").status_code == 401


def test_b08_a_closed_account_opens_nothing_from_the_next_request_on(ada, caller, point):
    User.objects.update(is_active=False)
    answer = caller.answer("/usage-points")
    assert (answer.status_code, answer.json()["error"]) == (403, "forbidden")


def test_b16_tokens_go_with_their_owner(ada, caller):
    ada.delete()
    assert not ApiToken.objects.exists()
    assert caller.answer("/usage-points").status_code == 401


def test_data_kept_after_sharing_ended_can_still_be_read_and_deleted_data_cannot(ada):
    authorization = rows.authorization(rows.registration(), status="withdrawn", ended_at=NOW)
    kept = models.UsagePoint.objects.create(subscription=authorization.subscription, resource_id="1", service_kind=0)
    rows.day(rows.channel(kept), "2025-01-15", [1] * 24)
    caller = Caller(secret(ada))
    assert len(caller.get("/usage-points")) == 1
    kept.delete()
    assert caller.get("/usage-points") == []


# --- Refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_nothing_can_be_changed(caller, point, channel, method):
    before = sorted(map(repr, models.IntervalBlock.objects.values()))
    for address in addresses(point, channel):
        answer = caller.answer(address, method)
        assert answer.status_code == 405, address
        assert answer.json()["error"] == "method_not_allowed"
        assert answer["Allow"] == "GET"
    assert before == sorted(map(repr, models.IntervalBlock.objects.values()))


BAD = [
    ("daily", {"start": "yesterday"}, "start"),
    ("daily", {"start": "2026-02-30"}, "start"),
    ("daily", {"start": "0001-01-01"}, "start: the day must lie between 1990 and 2100."),
    ("daily", {"end": "9999-12-31"}, "end: the day must lie between 1990 and 2100."),
    ("daily", {"start": "2026-01-02", "end": "2026-01-01"}, "end: it is the first day that is not meant any more"),
    ("daily", {"start": "2000-01-01", "end": "2020-01-01"}, "end: at most 1100 days can be asked for at once."),
    ("monthly", {"start": "1990-01-01", "end": "2100-01-01"}, "end: at most 7320 days"),
    ("bills", {"limit": "0"}, "limit"),
    ("bills", {"limit": "101"}, "limit"),
    ("bills", {"after": "-1"}, "after"),
    ("bills", {"after": "9" * 40}, "after"),
    ("channels/{channel}/readings", {"limit": "10001"}, "limit"),
    ("channels/{channel}/readings", {"limit": "many"}, "limit"),
    ("channels/{channel}/readings", {"after": "1"}, "after: take it from the address in “next”, unchanged."),
    ("channels/{channel}/readings", {"after": "1.2'--"}, "after: take it"),
    ("channels/{channel}/readings", {"after": "999999999999.0"}, "after: take it"),
    ("channels/{channel}/readings", {"after": "1.999999999999"}, "after: take it"),
    ("channels/{channel}/readings", {"after": "1" * 31}, "after"),
    ("channels/not-a-uuid/readings", {}, "channel"),
]


@pytest.mark.parametrize(("kind", "query", "words"), BAD)
def test_a_bad_question_is_told_what_is_wrong_with_it(caller, point, channel, kind, query, words):
    answer = caller.answer(f"/usage-points/{point.public_id}/{kind.format(channel=channel.public_id)}", **query)
    assert answer.status_code == 422, answer.content
    assert answer.json()["error"] == "invalid"
    assert words in answer.json()["message"]


@pytest.mark.parametrize("path", ["", "/", "/nothing", "/usage-points/", "/usage-points/../../admin", "/x" * 900])
def test_an_address_that_is_not_there_is_refused_in_json(caller, path):
    answer = caller.answer(f"{API}/{path}")
    assert answer.status_code == 404
    assert answer.json()["error"] == "not_found"


@pytest.mark.parametrize("identity", ["5b0c1d66-1e05-4b3a-9c1b-6a8f0f0e7d11", "1", "not-a-uuid", "%00", "' OR 1=1"])
def test_an_id_that_nobody_has_is_not_there(caller, identity):
    assert caller.answer(f"{API}/usage-points/{identity}").status_code in (404, 422)


def test_after_so_many_calls_in_an_hour_the_next_ones_have_to_wait(ada, caller, point, monkeypatch):
    monkeypatch.setattr(limits, "API_CALLS_AN_HOUR", 3)
    for _ in range(3):
        assert caller.answer("/connections").status_code == 200
    answer = Caller(secret(ada, "another")).answer("/connections")
    assert (answer.status_code, answer.json()["error"]) == (429, "too_many_requests")
    assert 0 < int(answer["Retry-After"]) <= 3600
    assert Caller(secret(User.objects.create_user("bob@example.com"))).answer("/connections").status_code == 200


def test_after_so_many_wrong_tokens_an_address_has_to_wait_and_good_ones_still_work(caller, monkeypatch):
    monkeypatch.setattr(limits, "WRONG_TOKENS_AN_HOUR", 3)
    for number in range(3):
        assert Caller(f"smm_{number}").answer("/connections").status_code == 401
    assert Caller("smm_4").answer("/connections").status_code == 429
    assert caller.answer("/connections").status_code == 200


def test_a_channel_that_is_rescaled_meanwhile_is_asked_for_again(caller, point, channel, monkeypatch):
    before = usage.channels(point)
    store(point.subscription.retail_customer, block([reading(MIDNIGHT - 3600, "0.00005")]), powerOfTenMultiplier=-3)
    monkeypatch.setattr(usage, "channels", lambda point: before)
    answer = caller.answer(f"/usage-points/{point.public_id}/channels/{channel.public_id}/readings")
    assert (answer.status_code, answer["Retry-After"], answer.json()["error"]) == (503, "1", "try_again")


@pytest.mark.parametrize("path", ["daily", "monthly"])
def test_sums_are_of_the_power_of_ten_that_is_told_with_them(caller, point, monkeypatch, path):
    known = usage.channels(point)
    store(point.subscription.retail_customer, block([reading(MIDNIGHT, "1.0005")]), powerOfTenMultiplier=-3)
    monkeypatch.setattr(usage, "channels", lambda asked: known)  # read just before that document was stored
    assert caller.answer(f"/usage-points/{point.public_id}/{path}").status_code == 503


@pytest.mark.parametrize(("error", "status"), [(ZeroDivisionError("secret"), 500), (OperationalError("secret"), 503)])
def test_a_fault_of_ours_is_owned_up_to_in_json(caller, monkeypatch, error, status):
    def fail(user):
        raise error

    monkeypatch.setattr(exports, "choices", fail)
    answer = caller.answer("/usage-points")
    assert answer.status_code == status
    assert answer["Content-Type"].startswith("application/json")
    assert "secret" not in answer.content.decode()


def test_b10_answers_stay_in_no_cache_and_have_the_sites_headers(caller, point, channel):
    for address in addresses(point, channel):
        answer = caller.answer(address)
        assert answer["Cache-Control"] == "private, no-store"
        assert answer["X-Content-Type-Options"] == "nosniff"
        assert not answer.cookies


# --- The record ------------------------------------------------------------------------------------------------------


@pytest.fixture
def written():
    handler = next(handler for handler in logging.getLogger().handlers if handler.get_name() == "stdout")
    stream, before = io.StringIO(), handler.stream
    handler.setStream(stream)
    yield stream
    handler.setStream(before)


def test_each_call_leaves_a_line_without_the_token(ada, point, written):
    token = secret(ada)
    Caller(token).get(f"/usage-points/{point.public_id}/bills", start="2026-01-01")
    (line,) = [each for each in written.getvalue().splitlines() if "api read" in each]
    assert f"user={ada.pk}" in line
    assert f"api_token={ApiToken.objects.get().public_id}" in line
    assert f"/usage-points/{point.public_id}/bills" in line
    assert token not in written.getvalue()
    logging.getLogger("somewhere").warning("it was %s", token)
    assert token not in written.getvalue()


def test_the_last_use_is_noted_but_not_written_every_time(caller, django_assert_num_queries):
    assert ApiToken.objects.get().last_used_at is None
    caller.get("/usage-points")
    first = ApiToken.objects.get().last_used_at
    assert abs(timezone.now() - first) < timedelta(minutes=1)
    caller.get("/usage-points")
    assert ApiToken.objects.get().last_used_at == first


# --- What describes it -----------------------------------------------------------------------------------------------


def test_the_openapi_document_holds_every_operation_with_its_refusals_and_needs_no_token(client):
    document = client.get(f"{API}/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    assert len(document["paths"]) == 10
    for path, methods in document["paths"].items():
        assert set(methods) == {"get"}, path
        told = methods["get"]
        moved = {"308"} if "{usage_point}" in path else set()
        assert {"200", "401", "403", "404", "422", "429", "503"} | moved == set(told["responses"])
        assert told["security"] == [{"TokenAuth": []}]
        assert told["summary"]
    assert document["components"]["securitySchemes"] == {"TokenAuth": {"type": "http", "scheme": "bearer"}}


def test_no_schema_has_a_number_that_could_be_a_float(client):
    document = client.get(f"{API}/openapi.json").content.decode()
    assert not re.search(r'"type": "number"', document)


def test_a_page_describes_every_operation_without_script_or_style_from_elsewhere(client):
    answer = client.get("/api")
    text = answer.content.decode()
    for path in operations.api.get_openapi_schema()["paths"]:
        assert f"GET {path}" in text
    assert re.findall(r'(?:src|href)="(https?:[^"]*)"', text) == []
    assert "'unsafe" not in answer["Content-Security-Policy"]


def test_days_from_a_start_on_are_the_first_ones_and_not_the_last():
    covered = (date(2015, 1, 1), date(2025, 1, 1))
    assert operations._span(covered, date(2016, 1, 1), None, 100) == (date(2016, 1, 1), date(2016, 4, 10))
    assert operations._span(covered, None, None, 100) == (date(2024, 9, 24), date(2025, 1, 2))


# --- Corrections and customer data ------------------------------------------------------------------------------------


def test_a_corrected_reading_is_told_with_both_statements():
    user = User.objects.create_user("ann@example.com")
    for value, day in ((1500, 16), (1750, 18)):
        content = [
            block([reading(MIDNIGHT, value), reading(MIDNIGHT + 3600, value)], published=f"2026-01-{day}T00:00:00Z")
        ]
        point = store(user, *content, powerOfTenMultiplier=-3)
    (channel,) = usage.channels(point)
    caller, path = Caller(secret(user)), f"/usage-points/{point.public_id}/channels/{channel.public_id}/revisions"
    first = caller.answer(path, limit=1).json()
    (told,) = first["revisions"]
    assert (told["old"]["value"], told["new"]["value"]) == ("1.5", "1.75")
    assert (told["start"], told["duration"]) == ("2026-01-15T00:00:00-05:00", 3600)
    assert told["new"]["published_at"] == "2026-01-18T00:00:00Z"
    second = caller.get(first["next"].partition(API)[2])
    assert (second["revisions"][0]["start_epoch"], second["next"]) == (MIDNIGHT + 3600, None)
    for wrong in ("1.2", "1.2.x", "01.2.3", "1.2.99999999999999999999"):
        assert caller.answer(path, after=wrong).status_code == 422


def test_customer_data_are_for_their_owner_alone_and_come_in_parts():
    user, eve = User.objects.create_user("ann@example.com"), User.objects.create_user("eve@example.com")
    base = f"{documents.BASE}/RetailCustomer/1/Customer/1/CustomerAccount/A1"
    account = documents.entry(documents.customer("CustomerAccount", "<accountId>7011</accountId>"), base)
    point = store(user, documents.hours(1), account)
    path = f"/connections/{point.subscription.public_id}/customer-data"
    first = Caller(secret(user)).answer(path, limit=1).json()
    rest = Caller(secret(user, "other")).get(first["next"].partition(API)[2])
    (holder,), (held,) = first["resources"], rest["resources"]
    assert (holder["kind"], held["kind"], held["said"]) == ("Customer", "CustomerAccount", {"accountId": "7011"})
    assert (held["belongs_to"], rest["next"]) == ([holder["id"]], None)
    assert Caller(secret(eve)).answer(path).status_code == 404
    assert Caller("").answer(path).status_code == 401
