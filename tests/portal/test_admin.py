"""The staff site: who gets in, what is never shown, and what a registration says of itself."""

from datetime import timedelta

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from lxml import html

import utilities
from espi import customers
from espi.fields import EncryptedTextField
from espi.models import (
    ApplicationInformation,
    Authorization,
    AuthorizationRequest,
    Document,
    ElectricPowerQualitySummary,
    FetchJob,
    Notification,
    ProgramIdMapping,
    Subscription,
    Succession,
    UsagePoint,
)
from portal.admin.base import StaffModelAdmin
from portal.admin.registrations import RegistrationForm, standing
from portal.flows import looking
from portal.flows.staffing.masking import masked
from portal.models import Consent, StaffAccess, User, UtilityVisit
from tests.portal import rows
from tests.portal.people import mailbox, person, sign_in, staff, totp_code

pytestmark = pytest.mark.django_db
CANARY = "c4n4ry"
ADD_REGISTRATION = "/staff/espi/applicationinformation/add/"
SECRETS = ("client_secret", "subscription_key", "registration_access_token", "api_token", "webhook_secret")


@pytest.fixture
def boss(client, monkeypatch):
    user = staff()
    client.force_login(user)
    monkeypatch.setattr(looking, "reason", lambda **asked: "for the test")  # test_staff_connections.py: it is asked for
    return user


def registration(**fields):
    made = {name: f"{CANARY}-{name}" for name in (*SECRETS, "notify_secret", "client_access_token")}
    return ApplicationInformation.objects.create(
        **{"utility": "pge", "environment": "production", "client_id": "our-client-id", **made, **fields}
    )


def change_page(row):
    return f"/staff/{row._meta.app_label}/{row._meta.model_name}/{row.pk}/change/"


def words(answer):
    return " ".join(html.fromstring(answer.content.decode()).text_content().split())


# --- Who gets in --------------------------------------------------------------------------------------------------


def test_staff_sign_in_at_the_same_door_with_their_second_step_and_arrive_where_they_were_going(client):
    user = staff()
    gate = client.get("/staff/portal/user/")
    assert gate.status_code == 302
    door = client.get(gate["Location"])
    assert door["Location"] == "/account/login/?next=%2Fstaff%2Fportal%2Fuser%2F"
    sign_in(client, user.email, next="/staff/portal/user/")
    answer = client.post("/account/2fa/authenticate/", {"code": totp_code(user.totp_secret)})
    assert answer["Location"] == "/staff/portal/user/"
    assert client.get("/staff/portal/user/").status_code == 200


@pytest.mark.parametrize(
    "path", ["/staff/", "/staff/login/", "/staff/portal/user/", "/staff/nowhere/", "/staff/jsi18n/"]
)
def test_e09_staff_without_an_authenticator_app_are_sent_to_set_one_up(client, path):
    client.force_login(staff(with_totp=False))
    answer = client.get(path)
    assert answer.status_code == 302
    assert answer["Location"] == "/account/2fa/totp/activate/"


def test_e09_a_password_alone_does_not_open_the_staff_site(client):
    user = staff()
    sign_in(client, user.email)
    assert client.get("/staff/").status_code == 302
    assert "_auth_user_id" not in client.session


def test_customers_do_not_get_in(client):
    client.force_login(person())
    answer = client.get("/staff/", follow=True)
    assert answer.status_code == 403
    assert "You cannot open this page" in words(answer)


def test_the_looser_policy_of_the_theme_ends_at_the_staff_site(client, boss):
    assert "unsafe" in client.get("/staff/").headers["Content-Security-Policy"]
    assert "unsafe" not in client.get("/account/").headers["Content-Security-Policy"]


def test_pages_that_would_show_sessions_or_second_steps_are_not_there(client, boss):
    for path in ("usersessions/usersession/", "mfa/authenticator/", "account/emailaddress/", "auth/group/"):
        assert client.get(f"/staff/{path}").status_code == 404


# --- Registrations ------------------------------------------------------------------------------------------------


def test_a_registration_without_credentials_says_what_is_missing():
    row = ApplicationInformation(utility="pge", environment="production", is_offered=True)
    said = standing(row)
    assert said.startswith("Not offered to customers. Still missing: ")
    for missing in utilities.get("pge").missing(row):
        assert missing in said


def test_a_registration_that_is_switched_off_says_so(monkeypatch):
    row = complete("essex")
    assert standing(row) == "Not offered to customers, although nothing is missing: “Is offered” is off."
    row.is_offered = True
    assert standing(row) == "Customers are offered Essex Powerlines through this registration."


def complete(slug):
    """A registration of that utility with everything in it."""
    row = ApplicationInformation(utility=slug, environment="production", edition=utilities.get(slug).editions[0])
    for name in utilities.get(slug).required:
        setattr(row, name, "x")
    assert utilities.get(slug).missing(row) == []
    return row


@pytest.mark.parametrize(("slug", "edition"), [("nobody", ""), ("pge", "v9")])
def test_a_registration_of_an_unknown_profile_is_not_offered(slug, edition):
    row = ApplicationInformation(utility=slug, environment="production", edition=edition, is_offered=True)
    assert standing(row) == "Not offered: we know no such utility, environment and edition."


def test_the_list_of_registrations_says_why_customers_are_not_offered_one(client, boss):
    ApplicationInformation.objects.create(utility="pge", environment="production", is_offered=True)
    assert "Not offered to customers. Still missing:" in words(client.get("/staff/espi/applicationinformation/"))


def form_data(row, **changes):
    """What a browser would send back after changing a few boxes."""
    fields = ("client_id", "third_party_id", "bulk_id", "customer_bulk_id")
    paths = (
        "client_certificate_path",
        "client_key_path",
        "ca_bundle_path",
        "authorize_url",
        "token_url",
        "resource_base",
    )
    return {name: getattr(row, name) for name in (*fields, *paths)} | dict.fromkeys(SECRETS, "") | changes


def test_e06_secrets_are_never_in_the_form(client, boss):
    row = registration()
    answer = client.get(change_page(row))
    assert CANARY.encode() not in answer.content
    page = html.fromstring(answer.content)
    for name in SECRETS:
        (box,) = page.xpath(f"//input[@name='{name}']")
        assert (box.get("type"), box.get("value")) == ("password", None)
    assert "Stored. Leave empty to keep it." in words(answer)
    assert not page.xpath("//*[@name='notify_secret' or @name='client_access_token']")


def test_an_empty_box_keeps_the_secret_and_a_filled_one_replaces_it(client, boss):
    row = registration()
    answer = client.post(change_page(row), form_data(row, bulk_id="another", api_token="brand new"))
    assert answer.status_code == 303, words(answer)
    row.refresh_from_db()
    assert row.bulk_id == "another"
    assert row.api_token == "brand new"
    assert row.client_secret == f"{CANARY}-client_secret"
    assert row.notify_secret == f"{CANARY}-notify_secret"
    assert row.client_access_token == f"{CANARY}-client_access_token"


def test_other_credentials_want_another_client_token(client, boss):
    row = registration(client_access_token_expires_at=timezone.now())
    client.post(change_page(row), form_data(row, client_secret="brand new"))
    row.refresh_from_db()
    assert (row.client_secret, row.client_access_token, row.client_access_token_expires_at) == ("brand new", None, None)


def test_what_changed_while_the_page_was_sent_back_is_not_undone(client, boss, monkeypatch):
    row = registration()
    clean = RegistrationForm.clean

    def meanwhile(form):
        ApplicationInformation.objects.filter(pk=row.pk).update(client_access_token="renewed", third_party_id="77")
        return clean(form)

    monkeypatch.setattr(RegistrationForm, "clean", meanwhile)
    client.post(change_page(row), form_data(row, bulk_id="50123"))
    row.refresh_from_db()
    assert (row.bulk_id, row.client_access_token, row.third_party_id) == ("50123", "renewed", "77")


def test_a_form_sent_back_with_a_mistake_does_not_repeat_the_secret(client, boss):
    row = registration()
    answer = client.post(
        change_page(row), form_data(row, client_secret="freshly typed", token_url="https://evil.example/t")
    )
    assert answer.status_code == 200
    assert b"freshly typed" not in answer.content
    assert CANARY.encode() not in answer.content
    row.refresh_from_db()
    assert row.client_secret == f"{CANARY}-client_secret"


def test_history_names_what_changed_and_not_to_what(client, boss):
    row = registration()
    client.post(change_page(row), form_data(row, client_secret="brand new"))
    entry = LogEntry.objects.get()
    assert "Client secret" in entry.get_change_message()
    assert "brand new" not in entry.change_message
    history = client.get(change_page(row).replace("change", "history")).content
    assert b"brand new" not in history
    assert CANARY.encode() not in history


@pytest.mark.parametrize("field", ["authorize_url", "token_url", "resource_base"])
@pytest.mark.parametrize(
    "address",
    [
        "https://evil.example/x",
        "http://api.pge.com/x",
        "https://api.pge.com.evil.example/x",
        "https://api.pge.com@evil.example/x",
    ],
)
def test_a11_nobody_can_save_an_address_outside_the_utilitys_own_hosts(client, boss, field, address):
    row = registration()
    answer = client.post(change_page(row), form_data(row, **{field: address}))
    assert answer.status_code == 200
    row.refresh_from_db()
    assert getattr(row, field) == ""


def test_an_address_at_the_utilitys_own_host_is_taken(client, boss):
    row = registration()
    address = utilities.get("pge").token_url(row) + "/next"
    assert client.post(change_page(row), form_data(row, token_url=address)).status_code == 303
    row.refresh_from_db()
    assert row.token_url == address


def test_one_registration_is_offered_in_place_of_another_and_the_page_names_it(client, boss):
    for utility in ("essex", "pge"):
        ApplicationInformation.objects.create(utility=utility, environment="sandbox", is_offered=True)
    row = registration(utility="essex")
    answer = client.post(change_page(row), form_data(row, is_offered="on"), follow=True)
    assert "Customers are now offered “essex production”, in place of “essex sandbox”" in words(answer)
    offered = ApplicationInformation.objects.filter(is_offered=True).order_by("utility")
    assert [str(each) for each in offered] == ["essex production", "pge sandbox"]


def test_a_new_registration_may_take_the_place_of_the_one_offered(client, boss):
    ApplicationInformation.objects.create(utility="essex", environment="sandbox", is_offered=True)
    made = ApplicationInformation(client_id="x", bulk_id="7")
    data = form_data(made, utility="essex", environment="production", is_offered="on", **dict.fromkeys(SECRETS, "s"))
    answer = client.post(ADD_REGISTRATION, data, follow=True)
    assert "in place of “essex sandbox”" in words(answer)
    assert ApplicationInformation.objects.get(is_offered=True).environment == "production"


def test_one_that_nobody_could_use_does_not_take_the_place_of_another(client, boss):
    other = ApplicationInformation.objects.create(utility="pge", environment="sandbox", is_offered=True)
    row = registration()
    answer = client.post(change_page(row), form_data(row, is_offered="on"))
    assert "It cannot take the place of “pge sandbox” yet. Still missing:" in words(answer)
    other.refresh_from_db()
    row.refresh_from_db()
    assert (other.is_offered, row.is_offered) == (True, False)


def test_a_registration_keeps_its_profile(client, boss):
    row = registration()
    client.post(change_page(row), form_data(row, utility="essex", environment="sandbox"))
    row.refresh_from_db()
    assert (row.utility, row.environment) == ("pge", "production")


def test_a_new_registration_is_for_a_known_profile_only(client, boss):
    blank = form_data(ApplicationInformation(client_id="x"))
    wrong = client.post(
        "/staff/espi/applicationinformation/add/",
        {**blank, "utility": "pge", "environment": "production", "edition": "v1"},
    )
    assert "no such environment and edition" in words(wrong)
    right = client.post(
        "/staff/espi/applicationinformation/add/",
        {**blank, "utility": "pge", "environment": "production", "edition": ""},
    )
    assert right.status_code == 303
    assert len(ApplicationInformation.objects.get().notify_secret) >= 43


def test_the_page_shows_our_addresses_as_they_stand_on_the_form(client, boss):
    row = registration()
    assert utilities.get("pge").redirect_uri(row) in words(client.get(change_page(row)))


def test_e08_staff_who_are_not_superusers_cannot_change_a_registration_or_rights(client):
    helper = staff(is_superuser=False)
    helper.user_permissions.set(Permission.objects.all())
    client.force_login(helper)
    row, ann = registration(), person()
    assert client.post(change_page(row), form_data(row, client_id="another")).status_code == 403
    client.post(change_page(ann), {"is_staff": "on", "is_superuser": "on", "is_active": "on"})
    client.post(change_page(helper), {"is_superuser": "on", "is_active": "on"})
    for user in (ann, helper):
        user.refresh_from_db()
    assert (ann.is_staff, ann.is_superuser, helper.is_superuser) == (False, False, False)


# --- What is never shown ------------------------------------------------------------------------------------------


@pytest.fixture
def everything():
    """One row of each kind, canaries in whatever must stay hidden."""
    now, ann = timezone.now(), person()
    app = registration()
    kept = Subscription.objects.create(retail_customer=ann, utility="pge", name="Home")
    allowed = Authorization.objects.create(
        retail_customer=ann,
        application_information=app,
        subscription=kept,
        access_token=f"{CANARY}-access",
        refresh_token=f"{CANARY}-refresh",
        account_number=f"{CANARY}-account",
        account_hint="•••789",
    )
    secrets = {
        "state_hash": f"{CANARY}1",
        "code_hash": f"{CANARY}2",
        "browser_hash": f"{CANARY}3",
        "code_verifier": f"{CANARY}4",
    }
    rows = [
        AuthorizationRequest.objects.create(
            retail_customer=ann, application_information=app, account_number=f"{CANARY}5", expires_at=now, **secrets
        ),
        UsagePoint.objects.create(subscription=kept, resource_id="up1", title=f"{CANARY} Street 1"),
        FetchJob.objects.create(
            application_information=app,
            authorization=allowed,
            kind="usage",
            url=f"https://api.pge.com/x?t={CANARY}",
            not_before=now,
        ),
        Notification.objects.create(
            application_information=app,
            received_at=now,
            body=f"<b>https://api.pge.com/x?t={CANARY}</b><script>alert(1)</script> 123456789".encode(),
            refused_urls=[[f"https://evil.example/?t={CANARY}", "another host"]],
        ),
        Document.objects.create(
            subscription=kept,
            application_information=app,
            url=f"https://api.pge.com/x?t={CANARY}",
            sha256="0" * 64,
            size=3,
            received_at=now,
        ),
        Consent.objects.create(
            reference="AB12",
            retail_customer=ann,
            utility="pge",
            environment="production",
            text_version="1",
            statement="I agree",
            agreed_at=now,
        ),
        UtilityVisit.objects.create(utility="pge", account_number=f"{CANARY}6", expires_at=now),
        ProgramIdMapping.objects.create(subscription=kept, kind="tou", code=6, name="WOP"),
        *customer_data(kept),
    ]
    power = ElectricPowerQualitySummary.objects.create(
        usage_point=kept.usage_points.get(), start=1, values={"flickerPst": 2}
    )
    return [app, kept, allowed, *rows, power]


def customer_data(kept):
    """A row of each noun of the Retail Customer schema; whatever names somebody is a canary."""
    for model in customers.MODELS.values():
        hidden = [field.name for field in model._meta.fields if type(field) is EncryptedTextField]
        said = {"element": CANARY, "name": f"{CANARY} Street 2"}
        yield model.objects.create(subscription=kept, said=said, ids={CANARY: CANARY}, **dict.fromkeys(hidden, CANARY))


def test_e01_no_page_of_the_staff_site_shows_a_secret(client, boss, everything):
    for row in [*everything, boss]:
        change = change_page(row)
        for path in (change, change.replace("change", "history"), change.partition(f"{row.pk}/change")[0]):
            answer = client.get(path)
            assert answer.status_code == 200, path
            assert CANARY.encode() not in answer.content, path


def test_staff_see_which_elements_a_utility_told_of_a_customer(client, boss, everything):
    row = next(row for row in everything if isinstance(row, customers.MODELS["CustomerAccount"]))
    assert "element, name" in words(client.get(change_page(row)))


def test_e01_searching_never_reaches_a_secret(client, boss, everything):
    for row in everything:
        answer = client.get(change_page(row).partition(f"{row.pk}/change")[0], {"q": CANARY})
        assert answer.status_code == 200
        assert b"Internal" not in answer.content


def test_every_row_but_registrations_and_people_is_only_to_be_read(client, boss, everything):
    for row in everything[1:]:
        path = change_page(row)
        assert client.post(path, {}).status_code == 403, path
        assert client.post(path.replace("change", "delete"), {"post": "yes"}).status_code == 403, path
        assert client.get(path.partition(f"{row.pk}/change")[0] + "add/").status_code == 403, path
    assert client.post(change_page(everything[0]).replace("change", "delete"), {"post": "yes"}).status_code == 403


def test_no_encrypted_field_is_named_on_any_page_of_the_staff_site(client, boss):
    for model, page in admin.site._registry.items():
        encrypted = {field.name for field in model._meta.fields if isinstance(field, EncryptedTextField)}
        assert not encrypted & set(page.list_display), model
        assert not {name.partition("__")[0] for name in page.search_fields} & encrypted, model


def test_b12_a_notification_is_shown_as_text_and_masked(client, boss, everything):
    row = next(row for row in everything if isinstance(row, Notification))
    answer = client.get(change_page(row))
    assert b"<script>alert(1)" not in answer.content
    assert "<script>••••</script>" in words(answer)
    assert "789" not in words(answer)
    assert "https://evil.example/?[removed]: another host" in words(answer)


def test_a_long_number_keeps_only_its_last_three_digits():
    assert masked("account 9876543210, page 12345") == "account •••210, page 12345"


def test_the_utilitys_number_of_a_meter_is_masked_in_the_list_and_on_its_page(client, boss):
    point = rows.usage_point(person(), resource_id="4125178001")
    for page in ("/staff/espi/usagepoint/", change_page(point)):
        answer = client.get(page).content.decode()
        assert "•••001" in answer
        assert "4125178001" not in answer


@pytest.mark.parametrize("asked", ["state=%00", "state__exact=%00", "q=%00", "since=%00"])
def test_a_table_asked_for_what_no_row_can_hold_is_shown_as_it_is(client, boss, asked):
    assert client.get(f"/staff/espi/fetchjob/?{asked}", follow=True).status_code == 200


# --- People -------------------------------------------------------------------------------------------------------


def test_e09_staff_cannot_set_a_password_and_can_ask_for_a_new_one(client, boss):
    ann = person()
    page = html.fromstring(client.get(change_page(ann)).content)
    assert not page.xpath("//input[contains(@name, 'password')]")
    assert client.get(f"/staff/portal/user/{ann.pk}/password/").status_code in (302, 404)
    client.post("/staff/portal/user/", {"action": "ask_for_new_password", "_selected_action": [ann.pk]})
    (message,) = mailbox()
    assert message.to == ["ann@example.com"]
    assert "http://localhost:8000/account/password/reset/" in message.body
    ann.refresh_from_db()
    assert ann.check_password("three quiet words")


def test_what_is_done_to_rows_is_done_to_the_ticked_ones_whatever_is_posted(client, boss):
    ann, _bob = person(), person("bob@example.com")
    asked = {"action": "ask_for_new_password", "select_across": "1", "_selected_action": [ann.pk]}
    client.post("/staff/portal/user/", asked)
    assert [message.to for message in mailbox()] == [["ann@example.com"]]
    assert client.post("/staff/portal/user/", asked | {"_selected_action": ["x"]}, follow=True).status_code == 200


def test_a_right_that_is_given_or_taken_is_in_the_audit_trail(client, boss):
    ann = person()
    for rights in ({"is_staff": "on", "is_superuser": "on"}, {"is_active": "on"}):
        assert client.post(change_page(ann), rights).status_code in (302, 303)
    told = StaffAccess.objects.filter(kind="role").order_by("pk").values_list("what", "staff", "customer")
    assert [(what.partition(": ")[2], *people) for what, *people in told] == [
        ("is_active off, is_staff on, is_superuser on", boss.pk, ann.pk),
        ("is_active on, is_staff off, is_superuser off", boss.pk, ann.pk),
    ]


def test_a_superuser_can_switch_an_account_off(client, boss):
    ann = person()
    client.post(change_page(ann), {"is_staff": ""})
    assert User.objects.get(pk=ann.pk).is_active is False


HIDDEN = [
    ("espi/applicationinformation", "notify_secret__startswith"),
    ("espi/authorizationrequest", "state_hash__startswith"),
    ("espi/authorizationrequest", "code_hash"),
    ("espi/usagepoint", "title__contains"),
    ("espi/usagepoint", "subscription__retail_customer__password__startswith"),
    ("espi/fetchjob", "url__contains"),
    ("espi/fetchjob", "authorization__status"),
    ("espi/notification", "body__contains"),
    ("espi/notification", "application_information__notify_secret__startswith"),
    ("espi/document", "content__startswith"),
    ("espi/authorization", "retail_customer__password__startswith"),
    ("portal/user", "password__startswith"),
    ("portal/user", "is_staff__lt"),
]


@pytest.mark.parametrize(("page", "lookup"), HIDDEN)
def test_e01_what_a_page_hides_cannot_be_asked_of_its_address(client, boss, page, lookup):
    assert client.get(f"/staff/{page}/", {lookup: "a"}).status_code == 400


DATES = ["year=0", "year=99999", "year=x", "year=-1", "year=²", "month=13", "day=0", "gte=2026-01-01", "=2026-01-01"]


@pytest.mark.parametrize("part", DATES)
def test_b14_no_date_in_the_address_of_a_list_is_a_fault(client, boss, part):
    assert client.get(f"/staff/espi/fetchjob/?created_at__{part}").status_code == 400


def test_b14_a_day_that_no_month_has_is_not_a_fault(client, boss):
    day = {"created_at__year": 2026, "created_at__month": 2, "created_at__day": 31}
    assert client.get("/staff/espi/fetchjob/", day).status_code in (302, 400)


def test_every_model_of_the_staff_site_filters_only_by_what_its_page_offers():
    ours = [each for model, each in admin.site._registry.items() if model._meta.app_label in ("espi", "portal")]
    assert [each for each in ours if not isinstance(each, StaffModelAdmin)] == []
    assert len(ours) > 10


def test_the_filters_that_a_page_offers_work(client, boss, everything):
    seen = 0
    for row in [*everything, boss]:
        listing = change_page(row).partition(f"{row.pk}/change")[0]
        links = html.fromstring(client.get(listing).content).xpath("//a/@href")
        offered = {link for link in links if link.startswith("?") and ("__" in link or "since=" in link)}
        for link in [*offered, f"?pk={row.pk}", f"?id__exact={row.pk}"]:
            assert client.get(listing + link).status_code == 200, (listing, link)
        seen += len(offered)
    assert seen > 20


def test_lists_are_of_the_last_days_where_asked_and_never_counted(client, boss):
    held = rows.authorization(rows.registration())
    old, new = rows.job(held, "https://utility.example/1"), rows.job(held, "https://utility.example/2")
    FetchJob.objects.filter(pk=old.pk).update(created_at=timezone.now() - timedelta(days=8))
    with CaptureQueriesContext(connection) as asked:
        page = client.get("/staff/espi/fetchjob/?since=7").content.decode()
    assert f"fetchjob/{new.pk}/" in page
    assert f"fetchjob/{old.pk}/" not in page
    assert not [each["sql"] for each in asked if "COUNT(" in each["sql"] and "espi_fetchjob" in each["sql"]]
    for odd in ("x", "²", "-7", "8"):
        assert f"fetchjob/{old.pk}/" in client.get(f"/staff/espi/fetchjob/?since={odd}").content.decode()


def test_a_document_is_found_by_its_whole_reference_or_digest(client, boss):
    one, other = (Document.objects.create(sha256=each * 64, size=1, received_at=timezone.now()) for each in "ab")
    for asked in (str(one.public_id), one.sha256, f" {one.sha256.upper()}"):
        page = client.get("/staff/espi/document/", {"q": asked}).content.decode()
        assert f"document/{one.pk}/" in page
        assert f"document/{other.pk}/" not in page
    assert f"document/{one.pk}/" not in client.get("/staff/espi/document/", {"q": "aaaa"}).content.decode()


def test_the_schedule_of_the_settings_cannot_be_changed_on_the_staff_site(client, boss):
    for name in ("periodictask", "intervalschedule", "crontabschedule", "solarschedule", "clockedschedule"):
        assert client.get(f"/staff/django_celery_beat/{name}/").status_code == 404
    assert b"periodictask" not in client.get("/staff/").content


def test_a_customer_at_the_staff_door_is_no_fault_in_the_log(client, caplog):
    client.force_login(person())
    assert client.get("/staff/login/").status_code == 403
    assert client.post("/staff/login/", {"username": "x", "password": "y"}).status_code == 403
    assert [record for record in caplog.records if record.exc_info] == []


def test_staff_read_where_a_document_contradicts_itself_and_which_meters_were_found_to_be_one(client, boss):
    remark = {"what": "LocalTimeParameters", "why": "its time zone is 0 seconds from UTC", "count": 2}
    document = Document.objects.create(sha256="0", size=1, received_at=timezone.now(), summary={"remarks": [remark]})
    for path in ("/staff/espi/document/", change_page(document)):
        assert "LocalTimeParameters: its time zone is 0 seconds from UTC (2)" in words(client.get(path))
    held = Subscription.objects.create(retail_customer=boss, utility="pge")
    point = UsagePoint.objects.create(subscription=held, resource_id="2000000002")
    fact = {"earlier_id": "1009283746", "later_id": "2000000002", "at": 1_773_903_600, "reason": "same_meter"}
    row = Succession.objects.create(usage_point=point, **fact)
    for path in ("/staff/espi/succession/", change_page(row)):
        told = words(client.get(path))
        assert "customer data name the same meter under both ids" in told
        assert "746" in told
        assert "1009283746" not in told
