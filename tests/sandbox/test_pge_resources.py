"""PG&E's resource server: token classes, dialect, windows, asynchronous jobs, clock changes, bills, customer records."""

from datetime import UTC, datetime

import pytest

from tests.sandbox.answers import NS, selves, texts, xml
from tests.sandbox.pge_helpers import ESPI, NOW, World


@pytest.fixture
def world():
    return World()


def zulu(*parts):
    return f"{datetime(*parts, tzinfo=UTC):%Y-%m-%dT%H:%M:%SZ}"


def points(world, tokens):
    feed = xml(world.get(tokens["resourceURI"].replace("/Batch", "") + "/UsagePoint", tokens["access_token"]))
    return selves(feed)


def batch(world, tokens, point, **window):
    names = {"low": "published-min", "high": "published-max"}
    return world.get(
        point.replace("/resource/", "/resource/Batch/"),
        tokens["access_token"],
        **{names.get(name, name): value for name, value in window.items()},
    )


def readings(feed):
    rows = []
    for one in feed.iter("{http://naesb.org/espi}IntervalReading"):
        start, duration = one.find("e:timePeriod/e:start", NS).text, one.find("e:timePeriod/e:duration", NS).text
        rows.append((int(start), int(duration), int(one.find("e:value", NS).text)))
    return rows


def test_each_path_wants_its_own_class_of_token(world):
    tokens, client = world.connect(), world.client_token()
    registration, access = world.welcome["registration_access_token"], tokens["access_token"]
    for path, good in (("ReadServiceStatus", client), ("Authorization", client), ("ReadingType", access)):
        for token in {client, registration, access} - {good}:
            assert world.get(path, token).status_code == 403
        assert world.get(path, good).status_code == 200
    assert world.get(tokens["resourceURI"], client).status_code == 403
    assert world.get(tokens["authorizationURI"], access, method="DELETE").status_code == 403
    assert world.get(f"Batch/Bulk/{world.welcome['bulk_id']}", access).status_code == 403
    assert world.get("ReadServiceStatus", "no-such-token").status_code == 401


def test_esp_paths_refuse_without_the_certificate_and_unknown_paths_have_no_listener(world):
    answer = world.app.test_client().get(f"{ESPI}/ReadServiceStatus")
    assert (answer.status_code, answer.text) == (400, '"Invalid Certificate"')
    answer = world.get(f"{ESPI}/oauth/v2/token", world.client_token())
    assert answer.status_code == 404
    assert answer.text.startswith("No listener for endpoint: /")
    tokens = world.connect()
    misspelled = tokens["authorizationURI"].replace("Authorization", "Authorziation")
    assert world.get(misspelled, world.client_token(), method="DELETE").status_code == 404


def test_the_service_status_has_no_prefix_and_no_atom_around_it(world):
    assert world.get("ReadServiceStatus", world.client_token()).text.startswith(
        '<ServiceStatus xmlns="http://naesb.org/espi"'
    )
    world.fault("service_down")
    assert "<currentStatus>0<" in world.get("ReadServiceStatus", world.client_token()).text


def test_sample_data_is_an_atom_feed_and_completes_the_connectivity_test(world):
    assert xml(world.get("DownloadSampleData", world.client_token())).tag.endswith("}feed")
    assert "Completed" in world.browser.get("/sharemydata.pge.com/registration").text


def test_the_application_record_opens_with_the_registration_token(world):
    feed = xml(world.get("Authorization", world.client_token()))
    record = next(uri for uri in texts(feed, "resourceURI") if "ApplicationInformation" in uri)
    entry = xml(world.get(record, world.welcome["registration_access_token"]))
    assert texts(entry, "client_id") == [world.welcome["client_id"]]
    assert texts(entry, "client_secret") == []
    world.app.test_client().post("/_sandbox/reset")
    assert world.get(record, world.welcome["registration_access_token"]).status_code == 200


def test_the_authorization_feed_also_has_administrative_entries(world):
    tokens = world.connect()
    uris = texts(xml(world.get("Authorization", world.client_token())), "resourceURI")
    assert f"{ESPI}/Batch/Bulk/{world.welcome['bulk_id']}" in uris
    assert [uri for uri in uris if "Subscription/" in uri] == [tokens["resourceURI"].replace("/Batch", "")]


def test_an_authorization_can_have_its_periods_in_milliseconds(world):
    tokens = world.connect()
    world.fault("millisecond_periods")
    entry = xml(world.get(tokens["authorizationURI"], world.client_token()))
    assert len(entry.find(".//e:authorizedPeriod/e:start", NS).text) == 13
    assert len(texts(entry, "expires_at")[0]) == 10


def test_a_third_party_cancels_once(world):
    tokens, client = world.connect(), world.client_token()
    assert world.get(tokens["authorizationURI"], client, method="DELETE").status_code == 200
    assert world.get(tokens["authorizationURI"], client, method="DELETE").status_code == 404
    assert texts(xml(world.get(tokens["authorizationURI"], client)), "status") == ["0"]
    assert world.get("ReadingType", tokens["access_token"]).status_code == 401


def test_another_customers_subscription_is_refused_in_plain_text(world):
    home, solar = world.connect("home"), world.connect("solar")
    answer = world.get(home["resourceURI"], solar["access_token"])
    assert (answer.status_code, answer.text) == (400, "client credentials doesn't match")
    assert world.get("Batch/Bulk/11111", world.client_token()).text == "client credentials doesn't match"


def test_the_dialect_has_prefixes_types_and_ids_of_pge(world):
    tokens = world.connect()
    electric = points(world, tokens)[0]
    answer = batch(world, tokens, electric, low=zulu(2026, 11, 2, 8), high=zulu(2026, 11, 3, 7, 59, 59))
    assert '<ns1:id xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="ns1:idType">' in answer.text
    feed = xml(answer)
    kinds = [entry.find("a:content", NS)[0].tag.partition("}")[2] for entry in feed.findall("a:entry", NS)]
    assert kinds[:5] == ["LocalTimeParameters", "ReadingType", "UsagePoint", "MeterReading", "IntervalBlock"]
    assert kinds[-1] == "ProgramIdMappings"
    assert selves(feed)[1].endswith("/ReadingType/NzI6bnVsbDo5MDA6MQ==")
    assert texts(feed, "powerOfTenMultiplier")[0] == "-3"
    again = xml(batch(world, tokens, electric, low=zulu(2026, 11, 2, 8), high=zulu(2026, 11, 3, 7, 59, 59)))
    assert selves(again) == selves(feed)
    ids = [{one.text for one in tree.iter("{http://www.w3.org/2005/Atom}id")} for tree in (feed, again)]
    assert not ids[0] & ids[1], "atom ids are new in every answer"


def test_a_day_has_as_many_readings_as_the_clock_gives_it(world):
    tokens = world.connect()
    electric = points(world, tokens)[0]
    counts = {}
    for name, low, high in (
        ("fall", zulu(2026, 11, 1, 7), zulu(2026, 11, 2, 7, 59, 59)),
        ("spring", zulu(2026, 3, 8, 8), zulu(2026, 3, 9, 6, 59, 59)),
        ("usual", zulu(2026, 6, 1, 7), zulu(2026, 6, 2, 6, 59, 59)),
    ):
        feed = xml(batch(world, tokens, electric, low=low, high=high))
        counts[name] = (len(readings(feed)), next(one for one in texts(feed, "duration") if len(one) == 5))
    assert counts == {"fall": (100, "90000"), "spring": (92, "82800"), "usual": (96, "86400")}


def test_a_window_that_touches_the_next_midnight_brings_that_day_too(world):
    tokens = world.connect()
    electric = points(world, tokens)[0]
    feed = xml(batch(world, tokens, electric, low=zulu(2026, 6, 1, 7), high=zulu(2026, 6, 2, 7)))
    assert len(readings(feed)) == 192
    by_epoch = xml(batch(world, tokens, electric, low="1780297200", high="1780383599"))
    assert len(readings(by_epoch)) == 96


def test_gas_is_daily_in_hundred_millionth_therms_one_second_after_midnight(world):
    tokens = world.connect()
    gas = points(world, tokens)[1]
    feed = xml(batch(world, tokens, gas, low=zulu(2026, 10, 31, 7), high=zulu(2026, 11, 2, 7, 59, 59)))
    assert [(start, duration) for start, duration, _value in readings(feed)] == [
        (1793430001, 86400),
        (1793516401, 90000),
    ]
    assert texts(feed, "powerOfTenMultiplier")[0] == "-8"
    assert texts(feed, "uom")[0] == "169"
    assert texts(feed, "tou") == []


def test_a_solar_home_has_two_series_that_must_not_be_added(world):
    tokens = world.connect("solar")
    point = points(world, tokens)[0]
    feed = xml(batch(world, tokens, point, low=zulu(2026, 6, 1, 7), high=zulu(2026, 6, 2, 6, 59, 59)))
    assert texts(feed, "flowDirection") == ["1", "19"]
    assert len({href for href in selves(feed) if "IntervalBlock/" in href}) == 2
    assert sum(value for _start, _length, value in readings(feed)) > 0


def test_a_swapped_meter_has_two_meter_readings_under_one_usage_point(world):
    tokens = world.connect("swapped")
    point = points(world, tokens)[0]
    listed = selves(xml(world.get(f"{point}/MeterReading", tokens["access_token"])))
    assert len(set(listed)) == 2
    meters = world.sandbox.person("pge", "swapped@example.com").accounts[0].services[0].meters
    day = datetime.fromtimestamp(meters[0].removed, UTC)
    low, high = zulu(day.year, day.month, day.day, 8), zulu(day.year, day.month, day.day + 1, 7, 59, 59)
    feed = xml(batch(world, tokens, point, low=low, high=high))
    starts = [start for start, _length, _value in readings(feed)]
    assert len(starts) == len(set(starts)) == 96
    assert len({href.partition("/IntervalBlock")[0] for href in selves(feed) if "IntervalBlock/" in href}) == 2


def test_an_empty_account_answers_204_everywhere(world):
    tokens = world.connect("empty")
    point = points(world, tokens)[0]
    assert batch(world, tokens, point).status_code == 204
    assert world.get(tokens["resourceURI"], tokens["access_token"]).status_code == 204
    assert world.deliver() == []


def test_windows_in_other_formats_or_too_long_are_refused(world):
    tokens = world.connect()
    point = points(world, tokens)[0]
    assert batch(world, tokens, point, low="2026-06-01").text == "Bad Request"
    assert batch(world, tokens, point, low=zulu(2026, 1, 1), high=zulu(2026, 6, 1)).text == "Date Range Too Large"
    assert batch(world, tokens, point, low=zulu(2020, 1, 1), high=zulu(2020, 1, 2)).status_code == 204


def test_updated_min_brings_new_days_and_quality_corrections(world):
    tokens = world.connect()
    feed = xml(batch(world, tokens, points(world, tokens)[0], **{"updated-min": zulu(2026, 11, 20, 12)}))
    blocks = [int(href.rpartition("/")[2]) for href in selves(feed) if "IntervalBlock/" in href]
    assert blocks == [1792566000, 1795075200], "the day whose quality became final, and the newest day"
    assert set(texts(feed, "quality")) == {"17", "19"}


def test_a_subscription_batch_is_accepted_announced_and_collected(world):
    tokens = world.connect()
    url, token = tokens["resourceURI"] + "?published-min=" + zulu(2026, 10, 1), tokens["access_token"]
    accepted = world.get(url, token)
    assert (accepted.status_code, accepted.data) == (202, b"")
    assert accepted.headers["x-transaction"]
    addresses = world.deliver()
    assert len(addresses) == 2, "one file a commodity"
    assert all(one.startswith(tokens["resourceURI"] + "?correlationID=") for one in addresses)
    feeds = [xml(world.get(one, token)) for one in addresses]
    assert [sorted(set(texts(feed, "kind")) & {"0", "1"}) for feed in feeds] == [["0"], ["1"]]
    assert all("?" not in link.get("href") for feed in feeds for link in feed.findall("a:link", NS))
    delivered = world.app.test_client().get("/_sandbox/deliveries?utility=pge").json
    rows = readings(feeds[0])
    channel = delivered[-2]["channels"][0]
    assert channel["count"] == len(rows)
    assert channel["sum"] * 1000 == sum(value for _start, _length, value in rows)
    assert (channel["first"], channel["last"]) == (rows[0][0], rows[-1][0])


def test_polling_the_202_address_starts_another_job(world):
    tokens = world.connect()
    for _turn in range(2):
        assert world.get(tokens["resourceURI"], tokens["access_token"]).status_code == 202
    assert len(set(world.deliver())) == 4


def test_an_announced_file_belongs_to_its_client_path_and_token(world):
    home, solar = world.connect("home"), world.connect("solar")
    world.get(home["resourceURI"], home["access_token"])
    address = world.deliver()[0]
    assert world.get(address, world.client_token()).status_code == 403
    assert world.get(address, solar["access_token"]).status_code == 400
    correlation = address.partition("?")[2]
    assert world.get(f"{solar['resourceURI']}?{correlation}", solar["access_token"]).status_code == 404
    assert world.get(f"{home['resourceURI']}?correlationID=000000000", home["access_token"]).status_code == 404


def test_a_bulk_batch_holds_every_authorization(world):
    home, solar, client = world.connect("home"), world.connect("solar"), world.client_token()
    bulk = f"Batch/Bulk/{world.welcome['bulk_id']}"
    window = {"published-min": zulu(2026, 11, 1), "published-max": zulu(2026, 11, 5)}
    assert world.get(bulk, client, **window).status_code == 202
    feeds = [xml(world.get(one, client)) for one in world.deliver()]
    found = {href.partition("/Subscription/")[2].partition("/")[0] for href in selves(feeds[0])} - {""}
    assert found == {one["authorizationURI"].rpartition("/")[2] for one in (home, solar)}


@pytest.mark.parametrize("kind", ["BulkRetailCustomerInfo", "BulkRetailDRPrgInfo"])
def test_bulk_customer_and_programme_records_are_asynchronous_too(world, kind):
    world.connect()
    client = world.client_token()
    assert world.get(f"Batch/{kind}/{world.welcome['bulk_id']}", client).status_code == 202
    (address,) = world.deliver()
    assert f"/Batch/{kind}/" in address
    assert world.get(address, client).status_code == 200


def test_the_daily_file_and_a_paper_authorization_come_unasked(world):
    row = world.sandbox.store.get("registrations", client_id=world.welcome["client_id"])
    page, form = "/sharemydata.pge.com/registration", {"registration": row["id"]}
    world.browser.post(page, data=form | {"action": "offline", "username": "hourly@example.com"})
    (changed,) = world.deliver()
    assert "_40;" in texts(xml(world.get(changed, world.client_token())), "scope")[0]
    world.browser.post(page, data=form | {"action": "daily"})
    addresses = world.deliver()
    assert all("/Batch/Bulk/" in one for one in addresses)
    assert readings(xml(world.get(addresses[0], world.client_token())))


def test_bills_add_up_and_have_commas_in_their_addresses(world):
    tokens = world.connect("hourly")
    feed = xml(world.get(points(world, tokens)[0] + "/UsageSummary", tokens["access_token"]))
    summaries = list(feed.iter("{http://naesb.org/espi}UsageSummary"))
    assert len(summaries) >= 22
    for one in summaries:
        lines = [int(line.text) for line in one.findall("e:costAdditionalDetailLastPeriod/e:amount", NS)]
        assert sum(lines) == int(one.find("e:billLastPeriod", NS).text)
        assert len(one.find("e:statusTimeStamp", NS).text) == 13
        assert one.find("e:currency", NS) is None
    assert "Power Cost Incentive Adjustment (PCIA)" in texts(feed, "note")
    assert selves(feed)[0].rpartition("/")[2].count(",") == 4
    assert xml(world.get(selves(feed)[0], tokens["access_token"])).tag.endswith("}entry")


def test_without_billing_a_bill_has_only_period_and_consumption(world):
    tokens = world.connect(group=["Usage"])
    feed = xml(world.get(points(world, tokens)[0] + "/UsageSummary", tokens["access_token"]))
    children = {
        child.tag.partition("}")[2] for one in feed.iter("{http://naesb.org/espi}UsageSummary") for child in one
    }
    assert children == {"billingPeriod", "overallConsumptionLastPeriod"}


def test_without_usage_there_are_bills_but_no_readings(world):
    tokens = world.connect(group=["Billing"])
    feed = xml(batch(world, tokens, points(world, tokens)[0], low=zulu(2026, 10, 1), high=zulu(2026, 10, 30)))
    assert readings(feed) == []
    assert texts(feed, "billLastPeriod")


def test_the_bill_of_a_meter_change_is_published_twice_with_overlapping_periods(world):
    tokens = world.connect("swapped")
    feed = xml(world.get(points(world, tokens)[0] + "/UsageSummary", tokens["access_token"]))
    starts = [one.find("e:billingPeriod/e:start", NS).text for one in feed.iter("{http://naesb.org/espi}UsageSummary")]
    assert len(starts) == len(set(starts)) + 1
    assert len(selves(feed)) == len(set(selves(feed)))


def test_the_customer_feed_joins_usage_by_the_agreements_address(world):
    tokens = world.connect()
    number = tokens["authorizationURI"].rpartition("/")[2]
    answer = world.get(f"Batch/RetailCustomer/{number}", tokens["access_token"])
    assert '<ns2:entry xmlns:ns2="http://www.w3.org/2005/Atom" xmlns="http://naesb.org/espi/customer">' in answer.text
    feed = xml(answer)
    agreements = [h for h in selves(feed) if h.rpartition("/")[0].endswith("/CustomerAgreement")]
    assert [one.rpartition("/")[2] for one in agreements] == [one.rpartition("/")[2] for one in points(world, tokens)]
    assert feed.find(".//c:Customer/c:name", NS).text == "Maria Santos"
    programmes = xml(world.get(f"Batch/RetailDRPrgInfo/{number}", tokens["access_token"]))
    assert programmes.find(".//c:enrollmentStatus", NS).text == "enrolledPending"


def test_what_was_not_granted_is_missing_or_refused(world):
    basic = world.connect(group=["Basic"])
    number = basic["authorizationURI"].rpartition("/")[2]
    feed = xml(world.get(f"Batch/RetailCustomer/{number}", basic["access_token"]))
    assert feed.find(".//c:CustomerAgreement/c:name", NS) is None
    assert feed.find(".//c:Meter", NS) is None
    usage = world.connect("solar", group=["Usage"])
    number = usage["authorizationURI"].rpartition("/")[2]
    assert world.get(f"Batch/RetailCustomer/{number}", usage["access_token"]).status_code == 403


@pytest.mark.parametrize(
    ("fault", "check"),
    [
        ("empty_feed", lambda text: "<ns1:entry" not in text),
        ("interval_blocks_alone", lambda text: "<ns0:IntervalBlock" in text and "<ns0:UsagePoint" not in text),
        ("shuffled_entries", lambda text: text.index("<ns0:ProgramIdMappings") < text.index("<ns0:IntervalBlock")),
        ("changed_prefixes", lambda text: text.count("<a:entry") > 3 and "ns1:" not in text),
        ("resource_html", lambda text: "<h1>" in text),
        ("resource_truncated", lambda text: not text.endswith("feed>")),
    ],
)
def test_oddities_of_feeds_can_be_asked_for(world, fault, check):
    tokens = world.connect()
    point = points(world, tokens)[0]
    world.fault(fault)
    assert check(batch(world, tokens, point, low=zulu(2026, 6, 1, 7), high=zulu(2026, 6, 2, 6, 59, 59)).text)


def test_notifications_can_be_lost_doubled_early_or_have_a_placeholder(world):
    tokens = world.connect("solar")

    def announced(*faults):
        for fault in faults:
            world.fault(fault)
        world.get(tokens["resourceURI"], tokens["access_token"])
        return world.deliver()

    assert announced("no_notification") == []
    doubled = announced("duplicate_notification")
    assert len(doubled) == 2
    assert len(set(doubled)) == 1
    assert announced("extra_resources")[1].endswith("correlationID=000000000")
    world.fault("notification_shape", args={"shape": "batchlist_lower"})
    world.posted.clear()
    announced()
    assert b'<batchList xmlns="http://naesb.org/espi"><resources>https://' in world.posted[0][1]
    world.fault("early_notification")
    world.posted.clear()
    world.get(tokens["resourceURI"], tokens["access_token"])
    assert len(world.posted) == 1, "it came before the 202"


def test_two_years_of_quarter_hours_are_written_quickly_enough(world):
    tokens = world.connect("solar")
    world.get(tokens["resourceURI"], tokens["access_token"])
    (address,) = world.deliver()
    feed = xml(world.get(address, tokens["access_token"]))
    rows = readings(feed)
    assert len(rows) == 2 * 96 * 729
    assert max(start for start, _length, _value in rows) < NOW


def test_the_ledger_counts_calls_by_instant_and_class(world):
    world.get("ReadServiceStatus", world.client_token())
    rows = world.app.test_client().get("/_sandbox/ledger?utility=pge").json
    assert [row["token_class"] for row in rows if row["kind"] == "api"] == ["client", "client"]
    assert all(row["at"] == NOW for row in rows)
