"""Pages anybody may read, the pages for what went wrong, and the headers on all of them."""

import io
import logging
import time

import pytest
from django.db import OperationalError
from django.test import Client, RequestFactory
from lxml import html
from redis.exceptions import ConnectionError as RedisConnectionError

import utilities
from espi.models import ApplicationInformation
from portal import logs
from portal.middleware import allow_departure
from portal.views import problems
from tests.portal.people import person

pytestmark = pytest.mark.django_db
PUBLIC = (
    "/",
    "/api",
    "/help",
    "/help/stop",
    "/privacy",
    "/account/login/",
    "/account/signup/",
    "/account/password/reset/",
)


def policy(answer):
    """The content security policy as {directive: [sources]}."""
    return {
        name: sources.split()
        for name, _, sources in (
            part.strip().partition(" ") for part in answer.headers["Content-Security-Policy"].split(";")
        )
    }


@pytest.mark.parametrize("path", PUBLIC)
def test_a_public_page_has_one_heading_a_language_and_a_way_past_the_header(client, path):
    answer = client.get(path)
    assert answer.status_code == 200
    page = html.fromstring(answer.content)
    assert len(page.xpath("//h1")) == 1
    assert page.get("lang") == "en"
    assert page.xpath("//body/a[1]/@href") == ["#main"]
    assert page.xpath("//main/@id") == ["main"]
    assert page.xpath("//title/text()")[0].endswith(" – Share My Meter")


@pytest.mark.parametrize("path", PUBLIC)
def test_a_public_page_loads_nothing_from_elsewhere_and_holds_no_inline_style_or_script(client, path):
    page = html.fromstring(client.get(path).content)
    for address in page.xpath("//script/@src | //link/@href | //img/@src"):
        assert address.startswith("/static/")
    assert not page.xpath("//style | //*[@style] | //script[not(@src) and not(@type='application/json')]")
    assert not page.xpath("//@*[starts-with(name(), 'on')]")


@pytest.mark.parametrize("path", [*PUBLIC, "/nothing-here"])
def test_a30_a_page_cannot_be_framed_and_runs_only_our_scripts(client, path):
    answer = client.get(path)
    rules = policy(answer)
    assert rules["frame-ancestors"] == ["'none'"]
    assert answer["X-Frame-Options"] == "DENY"
    assert rules["default-src"] == ["'none'"]
    assert rules["script-src"] == ["'self'"]
    assert rules["style-src"] == ["'self'"]
    assert rules["form-action"] == ["'self'"]
    assert rules["base-uri"] == ["'none'"]
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Referrer-Policy"] == "same-origin"


def test_a_page_that_leaves_for_a_utility_lets_its_form_end_there_or_at_another_address_over_tls():
    from csp.middleware import CSPMiddleware
    from django.http import HttpResponse

    def view(request):
        return allow_departure(HttpResponse(), ["http://localhost:8001/www.coned.com/x?y=1"])

    answer = CSPMiddleware(view)(RequestFactory().get("/"))
    assert policy(answer)["form-action"] == ["'self'", "http://localhost:8001", "https:"]


def test_the_start_page_names_every_utility_and_says_which_are_not_available(client):
    text = " ".join(html.fromstring(client.get("/").content).text_content().split())
    for utility in utilities.all():
        assert utility.long_name in text
        assert utility.area in text
    assert "Not available yet" in text
    assert "It costs nothing" in text


def test_how_to_stop_tells_each_utilitys_own_way(client):
    text = " ".join(html.fromstring(client.get("/help/stop").content).text_content().split())
    for utility in utilities.all():
        assert utility.stopping_help in text


@pytest.mark.parametrize(("environment", "shown"), [("sandbox", True), ("test", True), ("production", False)])
def test_e13_pages_say_when_the_utilities_are_not_the_real_ones(client, environment, shown):
    assert b"You are using" not in client.get("/").content
    ApplicationInformation.objects.create(utility="pge", environment=environment, is_offered=True)
    assert (b"You are using" in client.get("/").content) is shown


def test_e13_beside_real_utilities_those_that_are_not_are_named(client):
    ApplicationInformation.objects.create(utility="pge", environment="sandbox", is_offered=True)
    ApplicationInformation.objects.create(utility="cecony", environment="production", edition="v2", is_offered=True)
    page = html.fromstring(client.get("/").content.decode())
    assert page.xpath("string(//aside)").strip() == "Not real here: PG&E (the sandbox). The other utilities are."


def test_the_header_offers_what_fits_the_visitor(client):
    links = lambda: html.fromstring(client.get("/").content).xpath("//header//nav//a/text()")  # noqa: E731
    assert links() == ["Connect", "Sign in"]
    client.force_login(person())
    assert links() == ["Dashboard", "Energy", "Connect", "My account"]
    page = html.fromstring(client.get("/").content)
    assert page.xpath("//header//form/@action") == ["/account/logout/"]
    assert page.xpath("//header//form/@method") == ["post"]


def test_a_page_that_is_not_there_says_what_to_do(client):
    answer = client.get("/nothing-here?code=abc")
    assert answer.status_code == 404
    page = html.fromstring(answer.content)
    assert page.xpath("string(//h1)") == "We have no such page"
    assert "404" not in page.text_content()
    assert "abc" not in page.text_content()


def test_an_unknown_host_is_refused_in_plain_words(client):
    answer = client.get("/", HTTP_HOST="evil.example")
    assert answer.status_code == 400
    assert b"We could not read that request" in answer.content


def raising(error):
    try:
        raise error
    except Exception:
        return problems.server_error(RequestFactory().get("/"))


def test_a_fault_of_ours_is_owned_up_to_without_asking_the_database(django_assert_num_queries):
    with django_assert_num_queries(0):
        answer = raising(ZeroDivisionError("secret=hunter2"))
    assert answer.status_code == 500
    assert b"The fault is ours, not yours." in answer.content
    assert b"hunter2" not in answer.content


@pytest.mark.parametrize(
    "error", [OperationalError("host=db password=hunter2"), RedisConnectionError("redis://:hunter2@h")]
)
def test_a_database_or_cache_that_is_down_means_come_back_in_a_minute(error, django_assert_num_queries):
    with django_assert_num_queries(0):
        answer = raising(error)
    assert (answer.status_code, answer["Retry-After"]) == (503, "60")
    assert b"hunter2" not in answer.content


def test_an_error_anywhere_gets_our_page(settings):
    client = Client(raise_request_exception=False)
    settings.CACHES = {
        "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": "redis://127.0.0.1:9"}
    }
    answer = client.post("/account/login/", {"login": "ann@example.com", "password": "whatever"})
    assert answer.status_code == 503
    assert b"not available for a moment" in answer.content


def test_a31_after_a_post_the_next_request_is_a_get(client):
    person()
    answer = client.post("/account/login/", {"login": "ann@example.com", "password": "three quiet words"})
    assert answer.status_code == 303


# --- Logs -------------------------------------------------------------------------------------------------------------

SECRET_TEXTS = [
    "GET https://api.coned.com/gbc/v1/x?code=s3cret&state=s3cret HTTP/1.1",
    "/espi/1_1/OAuthCallBack/pge?code=s3cret",
    "/espi/1_1/Notification/pge/s3cret",
    "/espi/1_1/Webhook/essex/s3cret/",
    "/letters/unsubscribe/s3cret:1vX:s3cret",
    "Authorization: Bearer s3cret.s3cret-s3cret",
    "Authorization: Basic czNjcmV0OnMzY3JldA==s3cret",
    '{"access_token": "s3cret", "scope": "x"}',
    "{'refresh_token': 's3cret'}",
    "grant_type=authorization_code&code=s3cret&client_secret=s3cret",
    "could not connect: postgres://portal:s3cret@db/portal",
    "redis://:s3cret@cache:6379/0",
    "accountid=s3cret came in",
]


@pytest.mark.parametrize("text", SECRET_TEXTS)
def test_e02_what_must_not_be_written_down_is_removed(text):
    assert "s3cret" not in logs.redact(text)
    assert "[removed]" in logs.redact(text)


@pytest.mark.parametrize("text", ["/" * 32_000, "a" * 32_000, "a." * 16_000, "/a" * 16_000, "http://" * 5000])
def test_whoever_asks_for_a_hostile_address_costs_the_log_no_time(text):
    began = time.perf_counter()
    assert logs.redact(text) == text
    assert time.perf_counter() - began < 1.0


@pytest.mark.parametrize(
    "text", ["GET /dashboard 200", "status code: 200", "https://api.coned.com/gbc/v1/resource", "a/b"]
)
def test_what_may_be_read_is_left_as_it_is(text):
    assert logs.redact(text) == text


@pytest.fixture
def written():
    """What the root logger's handler writes."""
    handler = next(handler for handler in logging.getLogger().handlers if handler.get_name() == "stdout")
    stream, before = io.StringIO(), handler.stream
    handler.setStream(stream)
    yield stream
    handler.setStream(before)


def test_e02_a_traceback_is_written_without_secrets(written):
    try:
        raise ValueError("https://x.example/t?code=s3cret")
    except ValueError:
        logging.getLogger("somewhere").exception("failed for %s", "client_secret=s3cret")
    assert "ValueError" in written.getvalue()
    assert "s3cret" not in written.getvalue()


def test_c13_an_event_is_one_line_whatever_it_is_about(written):
    logging.getLogger("somewhere").warning("from %s", "a\r\nFAKE 2026 line\x1b[31m\u2028more")
    assert len(written.getvalue().splitlines()) == 1
    assert "\x1b" not in written.getvalue()


def test_e04_a_request_is_logged_without_its_query(client, written):
    client.get("/help?accountid=s3cret")
    client.get("/espi/1_1/OAuthCallBack/pge?code=s3cret&state=s3cret")
    client.get("/espi/1_1/Notification/pge/s3cret")
    lines = written.getvalue()
    assert "/help" in lines
    assert "OAuthCallBack/pge" in lines
    assert "s3cret" not in lines
