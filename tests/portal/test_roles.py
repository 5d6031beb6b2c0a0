"""The roles of staff: what each may see and do, who may give one, and the line that stays of every look."""

import io
from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.core.management import CommandError, call_command
from django.utils import timezone

from espi import archive
from espi.models import Document, MeterReading, ReadingType, UsagePoint
from portal import roles
from portal.flows import looking
from portal.models import DataGap, FetchPlan, Letter, StaffAccess, User
from portal.models.staff import StaffAccessIsKept
from tests.portal import rows
from tests.portal.people import person, staff

pytestmark = pytest.mark.django_db
WHY = "Ticket 4711: a bill is missing"
NAMES = ["tester", "support", "operator", "owner"]


def member(role, email=None):
    """Somebody of the staff who has this role and no other."""
    user = staff(email or f"{role}@example.com", is_superuser=False)
    looking.give_role(user, roles.get(role), by=None, reason="for the test", now=timezone.now())
    return User.objects.get(pk=user.pk)


def test_after_migrate_each_role_is_a_group_with_exactly_its_permissions():
    for role in roles.ROLES:
        held = Group.objects.get(name=role.name).permissions.values_list("codename", flat=True)
        assert set(held) == role.permissions


def test_migrating_again_takes_away_what_a_group_was_given_elsewhere():
    tester, support = Group.objects.get(name="tester"), Group.objects.get(name="support")
    tester.permissions.set(support.permissions.all())
    call_command("migrate", verbosity=0)
    assert tester.permissions.count() == 1


@pytest.mark.parametrize(
    ("role", "sees_customers", "operates", "tests"),
    [("tester", 0, 0, 1), ("support", 1, 0, 0), ("operator", 0, 1, 0), ("owner", 1, 1, 1)],
)
def test_e07_each_role_may_what_its_name_says(role, sees_customers, operates, tests):
    user = member(role)
    rights = [f"portal.{each}" for each in (roles.LOOK, roles.OPERATE, roles.TEST)]
    assert [user.has_perm(right) for right in rights] == [bool(sees_customers), bool(operates), bool(tests)]
    assert user.has_perm("espi.view_authorization") is bool(sees_customers)
    assert user.has_perm("espi.change_applicationinformation") is (role == "owner")
    assert not user.has_perm("portal.add_user") or role == "owner"


def test_e07_a_tester_sees_no_production():
    assert roles.environments(member("tester")) == {"sandbox", "test"}
    assert roles.environments(member("support")) == {"sandbox", "test", "production"}
    assert roles.environments(person()) == frozenset()


@pytest.mark.parametrize("role", ["tester", "support", "operator"])
def test_e08_a_role_opens_no_page_of_another_one(client, role):
    """The lists that the role may see answer 200, every other page of the staff site 403."""
    app = rows.registration()
    held = rows.authorization(app)
    rows.job(held, "https://api.coned.com/x")
    client.force_login(member(role))
    for model, codename in (
        ("espi/authorization", "view_authorization"),
        ("espi/fetchjob", "view_fetchjob"),
        ("espi/applicationinformation", "view_applicationinformation"),
        ("portal/user", "view_user"),
        ("portal/consent", "view_consent"),
        ("espi/customeraccount", "view_customeraccount"),
    ):
        expected = 200 if codename in roles.get(role).permissions else 403
        assert client.get(f"/staff/{model}/").status_code == expected, (role, model)


def test_e06_whoever_may_only_look_at_a_registration_sees_none_of_its_secrets(client):
    app = rows.registration(client_secret="c4n4ry-one", api_token="c4n4ry-two", registration_access_token="c4n4ry-3")
    client.force_login(member("operator"))
    page = client.get(f"/staff/espi/applicationinformation/{app.pk}/change/")
    assert page.status_code == 200
    for word in (b"c4n4ry", app.subscription_key.encode(), app.notify_secret.encode(), b"s3cret"):
        assert word not in page.content
    assert app.client_id.encode() in page.content


def test_e08_only_an_owner_gives_a_role_and_nobody_gives_himself_one():
    ann = person()
    for giver in map(member, ("tester", "support", "operator")):
        for whom in (ann, giver):
            with pytest.raises(looking.NotAllowed):
                looking.give_role(whom, roles.get("owner"), by=giver, reason=WHY, now=timezone.now())
    ann.refresh_from_db()
    assert (ann.is_staff, ann.is_superuser, roles.held_by(ann)) == (False, False, frozenset())
    looking.give_role(ann, roles.get("support"), by=member("owner"), reason=WHY, now=timezone.now())
    assert roles.held_by(User.objects.get(pk=ann.pk)) == {"support"}


def test_b08_a_role_that_is_taken_is_gone_with_the_next_request(client):
    user = member("support")
    client.force_login(user)
    assert client.get("/staff/portal/consent/").status_code == 200
    looking.take_role(user, roles.get("support"), by=None, reason="has left us", now=timezone.now())
    assert client.get("/staff/portal/consent/").status_code != 200
    assert not User.objects.get(pk=user.pk).is_staff


def test_the_command_gives_takes_and_writes_it_down(capsys):
    ann = person()
    call_command("give_role", "ANN@example.com", "operator", reason=WHY)
    assert "Roles now: operator." in capsys.readouterr().out
    call_command("give_role", "ann@example.com", "operator", reason=WHY, take=True)
    assert "Roles now: none." in capsys.readouterr().out
    lines = list(StaffAccess.objects.order_by("pk").values_list("kind", "what", "reason", "staff", "customer"))
    told = [f"gave operator to user {ann.pk}", f"took operator from user {ann.pk}"]
    assert lines == [("role", what, WHY, None, ann.pk) for what in told]
    with pytest.raises(CommandError, match="Nobody has registered"):
        call_command("give_role", "nobody@example.com", "operator", reason=WHY)
    with pytest.raises(CommandError, match="Say in at least"):
        call_command("give_role", "ann@example.com", "operator", reason="x")


# --- Looks at customers' data -------------------------------------------------------------------------------------


def test_e10_a_look_needs_a_reason_and_leaves_a_line_with_who_whom_when_and_why():
    helper, ann, now = member("support"), person(), timezone.now()
    with pytest.raises(looking.NoReason):
        looking.look(staff=helper, customer=ann, what="espi.authorization 12", now=now)
    looking.give_reason(staff=helper, customer=ann, reason=f"  {WHY} ", now=now)
    line = looking.look(staff=helper, customer=ann, what="espi.authorization 12", now=now)
    kept = StaffAccess.objects.get(pk=line.pk)
    assert (kept.staff, kept.customer, kept.at, kept.reason) == (helper, ann, now, WHY)
    assert (kept.kind, kept.what) == ("look", "espi.authorization 12")


@pytest.mark.parametrize("words", ["", "    ", "because", "x" * 301])
def test_e10_a_reason_that_is_none_is_not_taken(words):
    with pytest.raises(looking.NoReason):
        looking.give_reason(staff=member("support"), customer=person(), reason=words, now=timezone.now())
    assert not StaffAccess.objects.filter(kind="reason").exists()


def test_e10_a_reason_holds_half_an_hour_for_one_customer_and_one_member_of_staff():
    helper, other, ann, ben, now = (
        member("support"),
        member("owner"),
        person(),
        person("ben@example.com"),
        timezone.now(),
    )
    looking.give_reason(staff=helper, customer=ann, reason=WHY, now=now)
    assert looking.reason(staff=helper, customer=ann, now=now + timedelta(minutes=29)) == WHY
    assert looking.reason(staff=helper, customer=ann, now=now + timedelta(minutes=31)) == ""
    assert looking.reason(staff=helper, customer=ben, now=now) == ""
    assert looking.reason(staff=other, customer=ann, now=now) == ""


@pytest.mark.parametrize("role", ["tester", "operator"])
def test_e07_whose_role_sees_no_customers_cannot_even_give_a_reason(role):
    with pytest.raises(looking.NotAllowed):
        looking.give_reason(staff=member(role), customer=person(), reason=WHY, now=timezone.now())


def test_e10_a_line_is_never_changed_or_deleted_and_outlives_both_people():
    helper, ann = member("support"), person()
    line = looking.give_reason(staff=helper, customer=ann, reason=WHY, now=timezone.now())
    line.reason = "another one"
    for attempt in (
        line.save,
        line.delete,
        StaffAccess.objects.all().delete,
        lambda: StaffAccess.objects.update(reason="another one"),
    ):
        with pytest.raises(StaffAccessIsKept):
            attempt()
    numbers = (helper.pk, ann.pk)
    ann.delete()
    helper.delete()
    kept = StaffAccess.objects.get(pk=line.pk)
    assert (kept.staff_id, kept.customer_id, kept.reason) == (*numbers, WHY)


@pytest.mark.parametrize("role", ["operator", "support"])
def test_e07_a_document_shows_staff_neither_the_name_of_the_file_nor_what_it_says_of_its_customer(client, role):
    client.force_login(member(role))
    document = Document.objects.create(
        file_name="Ann Other, 12 Elm Street.xml", sha256="0", size=1, received_at=timezone.now(), refusal="No feed."
    )
    said = b"<Customer><name>Ann Other</name><streetAddress>12 Elm Street</streetAddress><kind>0</kind>"
    archive.keep(document, io.BytesIO(said))
    for address in ("", f"{document.pk}/change/", f"{document.pk}/history/"):
        page = client.get(f"/staff/espi/document/{address}")
        assert page.status_code == 200
        assert not [each for each in (b"Ann Other", b"Elm Street") if each in page.content]


def test_e07_an_operator_reads_of_work_and_never_what_a_utility_calls_the_customer_or_his_meter(client):
    client.force_login(member("operator"))
    held = rows.authorization(rows.registration(), "4100000777")
    point = UsagePoint.objects.create(subscription=held.subscription, resource_id="4100000777")
    kind = ReadingType.objects.create(signature="untold")
    channel = MeterReading.objects.create(usage_point=point, channel="meter_reading=4100000777", reading_type=kind)
    gap = DataGap.objects.create(
        meter_reading=channel, first_day="2026-01-01", last_day="2026-01-02", asked_at=timezone.now(), times_asked=1
    )
    plan = FetchPlan.objects.create(
        application_information=held.application_information, authorization=held, part="usage", next_at=timezone.now()
    )
    for row in (gap, plan, rows.job(held, "https://utility.example/1")):
        place = f"/staff/{row._meta.app_label}/{row._meta.model_name}/"
        for page in (client.get(place), client.get(f"{place}{row.pk}/change/")):
            assert (page.status_code, b"4100000777" in page.content) == (200, False)


def test_who_asks_a_customer_for_a_new_password_is_written_down_and_no_click_fills_a_mailbox(client):
    helper, ann = member("support"), person("ann@example.com")
    client.force_login(helper)
    for _ in range(3):
        client.post("/staff/portal/user/", {"action": "ask_for_new_password", "_selected_action": [ann.pk]})
    assert (
        Letter.objects.filter(kind="please_reset", retail_customer=ann).count() <= 2
    )  # two where an hour ends between
    lines = StaffAccess.objects.filter(kind="act", staff=helper, customer=ann)
    assert [line.what for line in lines] == [f"portal.user {ann.pk}: asked to set a new password"] * 3


def test_each_search_for_a_connection_is_written_down_without_what_was_asked(client):
    client.force_login(member("support"))
    assert client.post("/staff/connections/", {"asked": "998877"}).status_code == 200
    assert StaffAccess.objects.get(kind="look").what == "search of connections: 0 found"
