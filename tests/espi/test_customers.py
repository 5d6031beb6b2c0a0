"""Customer data become rows: one per real thing, encrypted, the last word on each element standing."""

import itertools
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from espi import customer_resources, customers, ingest, models
from portal.models import User
from tests.espi import documents
from tests.espi.documents import BASE, customer, entry
from tests.espi.storing import store

pytestmark = pytest.mark.django_db
SAMPLES = Path(__file__).resolve().parents[1] / "samples" / "espi" / "xml"
PGE = "https://api.pge.com/GreenButtonConnect/espi/1_1/resource"
TOP = f"{BASE}/RetailCustomer/{{}}/Customer/{{}}-c"


@pytest.fixture
def subscription():
    return place()


def place(name="ann@example.com", utility="pge"):
    user, _ = User.objects.get_or_create(email=name)
    return models.Subscription.objects.create(retail_customer=user, utility=utility, time_zone="America/New_York")


def sample(name):
    return (SAMPLES / f"composed__{name}.xml").read_bytes()


def said(subscription, *entries, **more):
    return store(subscription, documents.bare_feed(*entries), **more)


def resource(noun, inner, href="", day=1):
    return entry(customer(noun, inner), href, published=f"2026-01-{day:02}T00:00:00Z")


def everything():
    """What every row says, without its own number and its document's."""
    found = {}
    for noun, model in customers.MODELS.items():
        rows = [
            {
                name: value
                for name, value in row.items()
                if name not in ("id", "document_id") and not name.endswith("_id")
            }
            for row in model.objects.values()
        ]
        found[noun] = sorted(map(repr, rows))
    return found


# --- Each dialect -----------------------------------------------------------------------------------------------------


def test_pge_tells_relations_in_addresses_alone_and_in_any_order(subscription):
    document = store(subscription, sample("pge-customer"), expected_subscription_id="61234")
    who, account = models.Customer.objects.get(), models.CustomerAccount.objects.get()
    assert (who.name, account.account_number, account.customer) == ("ANN EXAMPLE", "1234567890-1", who)
    first, second = models.CustomerAgreement.objects.order_by("agreement_number", "pk")
    first, second = sorted((first, second), key=lambda each: not each.agreement_number)
    assert (first.agreement_number, first.type, first.status) == ("1112223334", "RES", "Active")
    assert (first.sign_date, first.customer_account) == (datetime(2024, 3, 1, 8, tzinfo=UTC), account)
    assert (second.agreement_number, second.status) == ("", "Active")
    location = models.ServiceLocation.objects.get()
    assert location.address == "1 EXAMPLE ST APT 2\nSAN FRANCISCO, CA 94105"
    assert (location.outage_block, location.customer_agreement) == ("5A", first)
    meter = models.Meter.objects.get()
    assert (meter.serial_number, meter.type, meter.interval_length) == ("1009998887", "ELECTRIC", 900)
    assert (meter.customer_agreement, meter.service_location) == (first, location)
    assert meter.said["utcNumber"] == "UTC009998887"
    kinds = {"Customer": 1, "CustomerAccount": 1, "CustomerAgreement": 2, "ServiceLocation": 1, "Meter": 1}
    assert (document.summary["resources"], document.summary["unknown"]) == (kinds, {})


@pytest.mark.parametrize("order", [("pge-customer", "pge-programmes"), ("pge-programmes", "pge-customer")])
def test_pges_programmes_belong_to_the_agreement_whichever_file_comes_first(subscription, order):
    for name in order:
        store(subscription, sample(name), expected_subscription_id="61234")
    row = next(each for each in models.CustomerAgreement.objects.all() if each.agreement_number)
    assert row.programs == [
        {"name": "SmartRate", "status": "enrolled"},
        {"name": "Base Interruptible", "status": "unenrolled"},
    ]
    assert (row.type, row.status, row.agreement_number) == ("RES", "Active", "1112223334")
    assert row.said["DemandResponseProgram"][0]["programDate"]["programDateDescription"] == "ENROLLMENT"
    dates = models.ProgramDateIdMappings.objects.get()
    assert [each["name"] for each in dates.mappings] == ["SmartDay"]
    assert (models.CustomerAgreement.objects.count(), models.CustomerAccount.objects.count()) == (2, 1)


def test_con_edison_v1_tells_an_account_and_its_place_twice_and_without_links(subscription):
    for _ in range(2):
        store(subscription, sample("coned-v1-customer") + b"\n" * models.Document.objects.count())
    account, location = models.CustomerAccount.objects.get(), models.ServiceLocation.objects.get()
    assert account.account_number == "410000000000123"
    assert location.address == "1 EXAMPLE ST APT 2\nNEW YORK, NY 01001"
    assert models.Document.objects.count() == 2


def test_two_accounts_of_con_edison_v1_stay_two(subscription):
    other = sample("coned-v1-customer").replace(b"410000000000123", b"410000000000999").replace(b"APT 2", b"APT 9")
    for content in (sample("coned-v1-customer"), other, sample("coned-v1-customer") + b"\n"):
        store(subscription, content)
    assert {row.account_number for row in models.CustomerAccount.objects.all()} == {
        "410000000000123",
        "410000000000999",
    }
    assert len({row.address for row in models.ServiceLocation.objects.all()}) == 2
    assert models.ServiceLocation.objects.count() == 2


def test_con_edison_v2_has_the_tree_below_the_subscriptions_id(subscription):
    document = store(subscription, sample("coned-v2-customer"), expected_subscription_id="976")
    who = models.Customer.objects.get()
    assert (who.name, who.kind) == ("Ann Example", "residential")
    assert who.said["Organisation"]["phone1"] == {"areaCode": "212", "localNumber": "5550100"}
    account = models.CustomerAccount.objects.get()
    assert (account.account_number, account.billing_cycle, account.status) == ("410000000000123", "12", "open")
    location = models.ServiceLocation.objects.get()
    assert location.address == "1 EXAMPLE ST\nAPT 2\nNEW YORK, NY 10001\nUS"
    meter = models.Meter.objects.get()
    assert (meter.serial_number, meter.form_number) == ("M00012345", "2S")
    assert meter.said["MeterMultipliers"] == {"kind": "kH", "value": "7.2"}
    assert document.summary["unknown"] == {"CustomerAgreement/planName": 1}
    with pytest.raises(ingest.DocumentRefused, match="another subscription"):
        store(subscription, sample("coned-v2-customer"), expected_subscription_id="977")


def test_con_edison_v2s_bulk_file_gives_each_customer_his_own(subscription):
    other = sample("coned-v2-customer").replace(b"/976", b"/977").replace(b"Ann", b"Bob")
    both = sample("coned-v2-customer").replace(b"</feed>", other[other.index(b"<entry>") :])
    store(subscription, both, expected_subscription_id="976", others="skip")
    assert models.Customer.objects.get().name == "Ann Example"


def test_utilityapi_has_a_tree_for_every_meter(subscription):
    document = store(subscription, sample("utilityapi-customer"), expected_subscription_id="700001")
    who = models.Customer.objects.get()
    assert (who.name, who.address) == ("Ann Example", "1 Example St\nTecumseh, ON N8N 0A0")
    assert models.CustomerAccount.objects.get().account_number == "111111111-1"
    agreements = {row.agreement_number: row for row in models.CustomerAgreement.objects.all()}
    assert set(agreements) == {"800001", "800002"}
    found = {row.serial_number: row for row in models.Meter.objects.all()}
    assert {serial: row.customer_agreement for serial, row in found.items()} == {
        "E-1": agreements["800001"],
        "E-2": agreements["800002"],
    }
    supplier = models.ServiceSupplier.objects.first()
    assert (supplier.name, supplier.kind) == ("Essex Powerlines", "utility")
    device = models.EndDevice.objects.first()
    assert (device.type, device.serial_number[:2], device.service_location.address) == (
        "thermostat",
        "TE",
        "1 Example St\nTecumseh, ON",
    )
    statement = models.Statement.objects.get()
    assert (statement.issued_at, statement.customer) == (datetime(2026, 1, 1, tzinfo=UTC), who)
    assert models.LocalTimeParameters.objects.get().tz_offset == -18000
    assert document.summary["unknown"] == {}


# --- The last word ----------------------------------------------------------------------------------------------------


def test_whatever_order_documents_come_in_the_last_word_on_each_element_stands(subscription):
    account = f"{TOP.format(7, 7)}/CustomerAccount/A"
    agreement = f"{account}/CustomerAgreement/G"
    told = [
        documents.bare_feed(
            resource("Customer", "<customerName>Ann Old</customerName><kind>residential</kind>", TOP.format(7, 7), 1),
            resource("CustomerAccount", "<accountId>1</accountId><billingCycle>3</billingCycle>", account, 3),
        ),
        documents.bare_feed(
            resource("Customer", "<customerName>Ann New</customerName>", TOP.format(7, 7), 2),
            resource("CustomerAccount", "<accountId>1</accountId><billingCycle>2</billingCycle>", account, 2),
            resource("Meter", "<serialNumber>M1</serialNumber>", f"{agreement}/ServiceLocation/L/Meter/M1", 2),
        ),
        documents.bare_feed(resource("CustomerAgreement", "<agreementId>G</agreementId>", agreement, 1)),
    ]
    expected = None
    for order in itertools.permutations(told):
        customers.delete(subscription)
        models.Document.objects.all().delete()
        for content in order:
            store(subscription, content)
        expected = expected or everything()
        assert everything() == expected
    assert (models.Customer.objects.get().name, models.Customer.objects.get().kind) == ("Ann New", "residential")
    assert models.CustomerAccount.objects.get().billing_cycle == "3"
    meter = models.Meter.objects.get()
    assert meter.customer_agreement.customer_account.customer.name == "Ann New"


def test_the_same_file_again_changes_nothing(subscription):
    store(subscription, sample("utilityapi-customer"))
    before = everything()
    store(subscription, sample("utilityapi-customer") + b"\n")
    assert everything() == before


def renewed(number, day, name="Ann"):
    """A customer tree whose upper ids are made of the authorization's, as on UtilityAPI's platform."""
    top = TOP.format(number, number)
    account = f"{top}/CustomerAccount/{number}-a"
    agreement = f"{account}/CustomerAgreement/800001"
    return documents.bare_feed(
        resource("Customer", f"<customerName>{name}</customerName>", top, day),
        resource("CustomerAccount", "<accountId>111</accountId>", account, day),
        resource("CustomerAgreement", "<agreementId>800001</agreementId>", agreement, day),
        resource("ServiceLocation", "<outageBlock>5A</outageBlock>", f"{agreement}/ServiceLocation/{number}-l", day),
        resource(
            "Meter", "<serialNumber>M1</serialNumber>", f"{agreement}/ServiceLocation/{number}-l/Meter/{day}", day
        ),
    )


@pytest.mark.parametrize("order", [(1, 2, 1), (2, 1, 2)])
def test_identity_survives_another_authorization(subscription, order):
    for day in order:
        store(subscription, renewed(700000 + day, day, name=f"Ann {day}") + b"\n" * models.Document.objects.count())
    counts = {noun: model.objects.count() for noun, model in customers.MODELS.items()}
    assert {noun for noun, count in counts.items() if count} == {
        "Customer",
        "CustomerAccount",
        "CustomerAgreement",
        "ServiceLocation",
        "Meter",
    }
    assert set(counts.values()) == {0, 1}
    assert models.Customer.objects.get().name == "Ann 2"


def test_two_of_a_kind_under_one_authorization_stay_two(subscription):
    agreement = f"{TOP.format(7, 7)}/CustomerAccount/A/CustomerAgreement/G"
    said(
        subscription,
        *(
            resource("ServiceSupplier", f"<kind>{kind}</kind>", f"{agreement}/ServiceSupplier/{kind}")
            for kind in ("lse", "msp")
        ),
        *(resource("Meter", "<serialNumber>1</serialNumber>", f"{agreement}/Meter/{each}") for each in (1, 2)),
    )
    assert models.ServiceSupplier.objects.count() == 2
    assert models.Meter.objects.count() == 2


def test_ids_that_are_alike_below_two_agreements_are_two_things(subscription):
    account = f"{TOP.format(7, 7)}/CustomerAccount/A"
    for each in ("G1", "G2"):
        inner = f"<outageBlock>{each}</outageBlock>"
        said(subscription, resource("ServiceLocation", inner, f"{account}/CustomerAgreement/{each}/ServiceLocation/1"))
    assert {row.outage_block for row in models.ServiceLocation.objects.all()} == {"G1", "G2"}


def test_what_one_subscription_was_told_moves_to_another_without_doubling(subscription):
    store(subscription, renewed(700001, 1))
    other = place()
    store(other, renewed(700002, 2, name="Ann Later"))
    customers.move(other, subscription)
    assert models.Customer.objects.get().name == "Ann Later"
    assert models.Meter.objects.get().customer_agreement.customer_account.customer.subscription == subscription
    empty = place()
    customers.move(subscription, empty)
    assert models.Meter.objects.get().service_location.customer_agreement.subscription == empty


# --- What is shared, and how it rests ---------------------------------------------------------------------------------


def test_a23_customer_data_that_were_not_shared_are_not_stored(subscription):
    document = store(subscription, sample("pge-customer"), accepts=frozenset({ingest.USAGE}))
    assert not any(model.objects.exists() for model in customers.MODELS.values())
    assert {each["what"] for each in document.summary["refused"]} == {
        "Customer",
        "CustomerAccount",
        "CustomerAgreement",
        "Meter",
        "ServiceLocation",
    }
    assert not models.DocumentPart.objects.exists()


def test_a23_of_a_kind_that_was_not_shared_not_even_the_id_is_stored(subscription):
    store(subscription, sample("pge-customer"), accepts=frozenset({"Customer", "Meter"}))
    kept = {noun for noun, model in customers.MODELS.items() if model.objects.exists()}
    assert kept == {"Customer", "Meter"}


def test_a23_programmes_and_the_rest_of_an_agreement_are_shared_apart(subscription):
    store(subscription, sample("pge-programmes"), accepts=customer_resources.NOUNS)
    row = models.CustomerAgreement.objects.get()
    assert (row.agreement_number, row.programs, set(row.said)) == ("1112223334", [], {"name"})
    customers.delete(subscription)
    models.Document.objects.all().delete()
    document = store(subscription, sample("pge-programmes"), accepts=frozenset({customer_resources.PROGRAMS}))
    row = models.CustomerAgreement.objects.get()
    assert (row.agreement_number, row.customer_account, set(row.said)) == ("", None, {"DemandResponseProgram"})
    assert {each["what"] for each in document.summary["refused"]} == {"CustomerAgreement", "ProgramDateIdMappings"}
    assert not models.DocumentPart.objects.exists()


def test_e01_nothing_personal_can_be_read_in_the_database(subscription):
    for name in ("pge-customer", "utilityapi-customer", "coned-v2-customer", "coned-v1-customer"):
        store(subscription, sample(name))
    tables = [model._meta.db_table for model in customers.MODELS.values()]
    with connection.cursor() as cursor:
        for table in tables:
            cursor.execute(f"SELECT row_to_json(each)::text FROM {table} AS each")
            for (row,) in cursor.fetchall():
                for word in (
                    "xample",
                    "EXAMPLE",
                    "1234567890",
                    "410000000000123",
                    "111111111",
                    "5550100",
                    "N8N 0A0",
                ):
                    assert word not in row, (table, word)


def test_e01_a_row_names_itself_by_its_number_alone(subscription):
    store(subscription, sample("pge-customer"))
    for model in customers.MODELS.values():
        for row in model.objects.all():
            assert str(row) == f"{model._meta.verbose_name} {row.pk}"


def test_one_customer_can_have_only_so_many_resources(subscription, monkeypatch):
    monkeypatch.setattr(customers, "_MOST", 2)
    document = store(subscription, sample("utilityapi-customer"))
    (refused, *_) = document.summary["refused"]
    assert refused["why"] == "more of one customer than can be kept"
    assert models.Customer.objects.count() == 1


def meters(number):
    base = "https://e.example/RetailCustomer/1/Customer/1/CustomerAccount/1/CustomerAgreement/1/ServiceLocation/1/Meter"
    serials = [f"{1000000 + each}" for each in range(number)]
    return [resource("Meter", f"<serialNumber>{each}</serialNumber>", f"{base}/{each}") for each in serials]


def test_finding_a_resource_looks_at_no_other(subscription, monkeypatch):
    """Forty meters, then eighty: twice as much work, not four times."""
    looked_at, number = [], customer_resources.number
    monkeypatch.setattr(customer_resources, "number", lambda *told: looked_at.append(told) or number(*told))
    counts, homes = [], {many: place(f"{many}@example.com") for many in (40, 80)}
    for many, home in homes.items():
        looked_at.clear()
        said(home, *meters(many))
        counts.append(len(looked_at))
    assert counts[1] <= 2.1 * counts[0]
    with CaptureQueriesContext(connection) as caught:
        said(homes[80], *meters(80), *meters(1))
    assert len(caught) < 50
    assert models.Meter.objects.filter(subscription=homes[80]).count() == 80


@pytest.mark.parametrize(
    ("address", "lines"),
    [
        ({}, ()),
        ("1 Example St", ()),
        ({"streetDetail": {"suiteNumber": "", "addressGeneral": "1 St"}, "poBox": "N/A"}, ("1 St",)),
        ({"poBox": "12", "townDetail": {"name": "A"}}, ("PO Box 12", "A")),
        ({"streetDetail": {"number": "7", "prefix": "N", "name": "Elm", "type": "Ave"}}, ("7 N Elm Ave",)),
        ({"townDetail": {"stateOrProvince": "NY"}, "postalCode": "00501"}, ("NY 00501",)),
    ],
)
def test_an_address_is_the_lines_of_a_letter(address, lines):
    assert customer_resources.address_lines(address) == lines
