"""What each utility declares, checked against its own document: addresses, scopes, departures, first requests."""

import re
from datetime import UTC, date, datetime
from urllib.parse import parse_qsl, urlsplit

import pytest

import utilities
from espi.customer_resources import PROGRAMS
from tests.utilities.conftest import connection, registration
from utilities.base import AuthorizationParameters, RevocationRefused, UnknownChoice
from utilities.coned import V1_SCOPES
from utilities.oauth import UntrustedAddress

NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)  # still the 20th in New York and in California
HYPHENS = "accounts-billing/dashboard/billing-and-usage/share-my-data-connections/third-party-authorization/redirect"

# (utility, environment, edition): authorize, token, resource base.
ADDRESSES = {
    ("cecony", "production", "v1"): (
        f"https://www.coned.com/{HYPHENS}",
        "https://api.coned.com/gbc/v1/oauth/v1/Token",
        "https://api.coned.com/gbc/v1/resource",
    ),
    ("cecony", "test", "v1"): (
        f"https://uat10-core.coned.com/en/{HYPHENS}",
        "https://apit.coned.com/gbc/v1/oauth/v1/Token",
        "https://apit.coned.com/gbc/v1/resource",
    ),
    ("cecony", "production", "v2"): (
        "https://www.coned.com/en/oauth/authorize",
        "https://api.coned.com/gbc/espi/1_1/oauth/Token",
        "https://api.coned.com/gbc/espi/1_1/resource",
    ),
    ("cecony", "test", "v2"): (
        "https://uat10.coned.com/en/oauth/authorize",
        "https://apit.coned.com/gbc/espi/1_1/oauth/Token",
        "https://apit.coned.com/gbc/espi/1_1/resource",
    ),
    ("oru", "production", "v1"): (
        f"https://www.oru.com/{HYPHENS}",
        "https://api.coned.com/gbc/v1/oauth/v1/Token",
        "https://api.coned.com/gbc/v1/resource",
    ),
    ("oru", "test", "v1"): (
        f"https://uat10-core.oru.com/en/{HYPHENS}",
        "https://apit.coned.com/gbc/v1/oauth/v1/Token",
        "https://apit.coned.com/gbc/v1/resource",
    ),
    ("oru", "production", "v2"): (
        "https://www.oru.com/en/oauth/authorize",
        "https://api.coned.com/gbc/espi/1_1/oauth/Token",
        "https://api.coned.com/gbc/espi/1_1/resource",
    ),
    ("oru", "test", "v2"): (
        "https://uat10.oru.com/en/oauth/authorize",
        "https://apit.coned.com/gbc/espi/1_1/oauth/Token",
        "https://apit.coned.com/gbc/espi/1_1/resource",
    ),
    ("pge", "production", ""): (
        "https://sharemydata.pge.com/myAuthorization",
        "https://api.pge.com/datacustodian/oauth/v2/token",
        "https://api.pge.com/GreenButtonConnect/espi/1_1/resource",
    ),
    ("pge", "test", ""): (
        "https://api.pge.com/datacustodian/test/oauth/v2/authorize",
        "https://api.pge.com/datacustodian/test/oauth/v2/token",
        "https://api.pge.com/GreenButtonConnect/espi/1_1/resource",
    ),
    ("essex", "production", ""): (
        "https://greenbutton.essexpowerlines.ca/oauth/authorize",
        "https://greenbutton.essexpowerlines.ca/oauth/token",
        "https://utilityapi.com/DataCustodian/espi/1_1/resource",
    ),
    ("essex", "test", ""): (
        "https://greenbutton.essexpowerlines.ca/oauth/authorize",
        "https://greenbutton.essexpowerlines.ca/oauth/token",
        "https://utilityapi.com/DataCustodian/espi/1_1/resource",
    ),
    ("welland", "production", ""): (
        "https://greenbutton.wellandhydro.com/oauth/authorize",
        "https://greenbutton.wellandhydro.com/oauth/token",
        "https://utilityapi.com/DataCustodian/espi/1_1/resource",
    ),
}


def addresses(slug, environment, edition):
    utility, app = utilities.get(slug), registration(slug, edition, environment)
    return utility.authorize_url(app), utility.token_url(app), utility.resource_base(app)


@pytest.mark.parametrize("profile", ADDRESSES, ids=lambda profile: " ".join(filter(None, profile)))
@pytest.mark.parametrize("debug", [False, True])
def test_the_addresses_are_those_of_the_utilitys_document_whatever_the_settings(profile, debug, settings):
    settings.DEBUG = debug
    settings.SANDBOX_BASE_URL = "http://sandbox.invalid"
    assert addresses(*profile) == ADDRESSES[profile]


@pytest.mark.parametrize(("slug", "edition"), [(s, e) for s, env, e in ADDRESSES if env == "production"])
def test_the_sandbox_answers_under_the_real_host_name(slug, edition, settings):
    settings.SANDBOX_BASE_URL, settings.SANDBOX_TLS_BASE_URL = "http://box:81", "https://box:82"
    bases = {"api.pge.com": "https://box:82/api.pge.com"}
    for there, here in zip(ADDRESSES[slug, "production", edition], addresses(slug, "sandbox", edition), strict=True):
        host = urlsplit(there).netloc
        assert here == there.replace(f"https://{host}", bases.get(host, f"http://box:81/{host}"))


def test_utilities_are_listed_in_the_order_they_are_shown():
    assert [utility.slug for utility in utilities.all()] == ["cecony", "oru", "pge", "essex", "welland"]
    assert utilities.get("oru").long_name == "Orange & Rockland (O&R)"
    with pytest.raises(KeyError):
        utilities.get("nobody")


def test_nothing_that_every_utility_has_to_say_is_missing(profile):
    utility, _ = profile
    assert utility.undeclared() == []


def test_our_own_addresses_are_constant(profile, settings):
    settings.PORTAL_BASE_URL = "https://portal.example"
    utility, app = profile
    base = "https://portal.example/espi/1_1"
    assert utility.redirect_uri(app) == f"{base}/OAuthCallBack/{utility.slug}"
    assert utility.scope_selection_uri(app) == f"{base}/ScopeSelection"
    assert utility.portal_uri(app) == f"{base}/ThirdPartyPortal/{utility.slug}"
    assert utility.notify_uri(app) == f"{base}/Notification/{utility.slug}/notify-secret"
    assert utility.webhook_uri(app) == f"{base}/Webhook/{utility.slug}/notify-secret"


def test_every_choice_is_described_in_full(profile):
    utility, app = profile
    for choice in utility.data_choices(app):
        words = (choice.name, choice.content, choice.example, choice.history, choice.frequency, choice.why)
        assert all(words)
        assert choice.kinds
    assert utility.choices_limits(app) == (1, len(utility.data_choices(app)))
    assert all((utility.area, utility.website, utility.help_words, utility.leaving_help, utility.stopping_help))


@pytest.mark.parametrize(
    ("slug", "edition", "field", "words"),
    [
        ("cecony", "v1", "subscription_key", "subscription key"),
        ("oru", "v2", "third_party_id", "third-party id"),
        ("pge", "", "client_key_path", "client key file"),
        ("essex", "", "client_secret", "client secret"),
    ],
)
def test_what_is_missing_is_named_in_words(slug, edition, field, words):
    files = {"client_certificate_path": "c.pem", "client_key_path": "k.pem", "ca_bundle_path": "a.pem"}
    utility, app = utilities.get(slug), registration(slug, edition, **files)
    assert utility.missing(app) == []
    setattr(app, field, "")
    assert utility.missing(app) == [words]


def test_the_second_edition_needs_no_subscription_key():
    assert utilities.get("cecony").missing(registration("cecony", "v2", subscription_key="")) == []


@pytest.mark.parametrize(("slug", "edition"), [("cecony", ""), ("cecony", "v3"), ("pge", "v1")])
def test_a_profile_the_utility_does_not_have_is_never_complete(slug, edition):
    assert utilities.get(slug).missing(registration(slug, edition)) != []
    assert utilities.get(slug).missing(registration(slug, edition, "production")) != []


# --- A11: addresses on a registration ---


@pytest.mark.parametrize(
    ("slug", "edition", "field", "url"),
    [
        ("cecony", "v1", "authorize_url", "https://uat10.coned.com/accounts-billing/x/redirect"),
        ("oru", "v1", "authorize_url", "https://wem-cm-t1.oru.com/x"),
        ("cecony", "v2", "token_url", "https://apit.coned.com/gbc/espi/1_1/oauth/token"),
        ("pge", "", "authorize_url", "https://sharemydata.pge.com/other"),
        ("essex", "", "authorize_url", "https://utilityapi.com/DataCustodian/essex/oauth/authorize"),
        ("essex", "", "token_url", "https://utilityapi.com/DataCustodian/essex/oauth/token"),
    ],
)
def test_a11_an_address_at_another_host_of_the_utility_may_replace_the_declared_one(slug, edition, field, url):
    utility, app = utilities.get(slug), registration(slug, edition, "test")
    before = utility.profile_version(app)
    setattr(app, field, url)
    assert getattr(utility, field)(app) == url
    assert utility.profile_version(app) != before


@pytest.mark.parametrize("field", ["authorize_url", "token_url", "resource_base"])
@pytest.mark.parametrize(
    "url",
    ["https://evil.example/oauth", "http://{host}/x", "https://{host}.evil.example/x", "https://{host}@evil.example/"],
)
def test_a11_an_address_anywhere_else_is_refused_and_the_utility_not_offered(profile, field, url):
    utility, app = profile
    url = url.format(host=urlsplit(getattr(utility, field)(app)).netloc)
    with pytest.raises(UntrustedAddress):
        utility.check_address(app, field, url)
    setattr(app, field, url)
    assert any("at a host of this utility" in words for words in utility.missing(app))
    with pytest.raises(UntrustedAddress):
        getattr(utility, field)(app)


def test_a11_a_production_registration_may_not_name_the_test_host_nor_a_sandbox_one_the_real_host():
    utility = utilities.get("cecony")
    for environment, url in (
        ("production", "https://uat10-core.coned.com/x"),
        ("sandbox", "https://www.coned.com/x"),
        ("sandbox", "http://localhost:8001/www.oru.com/x"),
        ("sandbox", "http://localhost:8001/"),
    ):
        with pytest.raises(UntrustedAddress):
            utility.check_address(registration("cecony", "v1", environment), "authorize_url", url)


def test_a11_the_profile_changes_with_the_client_id_and_the_environment(profile):
    utility, app = profile
    versions = {utility.profile_version(app)}
    for field, value in (("client_id", "another"), ("environment", "test")):
        setattr(app, field, value)
        versions.add(utility.profile_version(app))
    app.client_secret = "rotated"
    assert len(versions) == 3
    assert utility.profile_version(app) in versions, "a new secret is no new profile"


# --- Scopes ---


def test_the_four_strings_of_edition_1_are_those_of_the_document_byte_for_byte():
    assert list(V1_SCOPES.values()) == [
        "FB=1_3_4_5_7_10_13_14_18_32_33_35_37_38_41_44;IntervalDuration=Monthly_3600_900_300;BlockDuration=Monthly_Daily;HistoryLength=63113904;",
        "FB=1_3_6_10_13_14_15_16_28_32_33_35_37_38_41_44;IntervalDuration=Monthly;BlockDuration=Monthly;HistoryLength=63113904;",
        "FB=1_3_4_5_7_13_14_18_32_33_35_37_38_41_44;IntervalDuration=900_300;BlockDuration=Daily;HistoryLength=86400;",
        "FB=1_3_13_14_46_47;",
    ]


V1_VECTOR = (  # contract §9.4: Consumption and Retail Customer
    "FB%3D1_3_4_5_7_10_13_14_18_32_33_35_37_38_41_44%3BIntervalDuration%3DMonthly_3600_900_300%3BBlockDuration%3D"
    "Monthly_Daily%3BHistoryLength%3D63113904%3B%7CFB%3D1_3_13_14_46_47%3B"
)


def depart(slug, edition, choices, environment="production", **values):
    utility, app = utilities.get(slug), registration(slug, edition, environment)
    scope = utility.requested_scope(app, choices, end_date=values.get("end_date"))
    params = AuthorizationParameters(scope=scope, state="st/at e", redirect_uri=utility.redirect_uri(app), **values)
    return utility.authorization_url(app, params)


def test_edition_1_encodes_its_scope_exactly_once():
    url = depart("cecony", "v1", ["customer", "usage"])
    assert f"&scope={V1_VECTOR}&" in url


def test_edition_1_redirects_back_with_the_parameters_of_the_onboarding_document():
    url = depart(
        "oru", "v1", ["usage"], account_number="410000000000123", start_date=date(2026, 1, 2), end_date=date(2027, 3, 4)
    )
    assert url.startswith(f"https://www.oru.com/{HYPHENS}?client_id=0oa-client&scope=FB%3D1_3_4_5_")
    assert dict(parse_qsl(urlsplit(url).query)) == {
        "client_id": "0oa-client",
        "scope": V1_SCOPES["usage"],
        "state": "st/at e",
        "redirectUri": "http://localhost:8000/espi/1_1/OAuthCallBack/oru",
        "accountNumber": "410000000000123",
        "startDate": "01/02/2026",
        "endDate": "03/04/2027",
        "response_type": "code",
    }
    assert "st%2Fat%20e" in url


def test_edition_1_leaves_out_what_it_does_not_know():
    names = [name for name, _ in parse_qsl(urlsplit(depart("cecony", "v1", ["usage"])).query)]
    assert names == ["client_id", "scope", "state", "redirectUri", "response_type"]


def test_edition_1_lets_its_customers_sign_in_first():
    utility = utilities.get("cecony")
    assert utility.login_url(registration("cecony", "v1", "test")) == (
        "https://uat10-core.coned.com/en/accounts-billing/dashboard/billing-and-usage/share-my-data-connections/"
        "third-party-authorization?ThirdPartyId=000092"
    )
    assert utility.login_url(registration("cecony", "v2")) is None
    assert utilities.get("pge").login_url(registration("pge")) is None


def test_only_edition_1_may_come_back_without_state(profile):
    utility, app = profile
    assert utility.state_required(app) == (app.edition != "v1")


TAIL = ";IntervalDuration=Monthly_3600_900_300;BlockDuration=Monthly_Daily;HistoryLength=63072000;BR=000092"


@pytest.mark.parametrize(
    ("choices", "scope"),
    [
        (["usage", "billing", "customer"], f"FB=1_3_4_5_7_8_10_15_16_51_53_56_57_58_60{TAIL}"),
        (["usage"], f"FB=1_3_4_5_7_8_10{TAIL}"),
        (["billing"], "FB=1_3_15_16;IntervalDuration=Monthly;BlockDuration=Monthly;HistoryLength=63072000;BR=000092"),
        (["customer"], "FB=51_53_56_57_58_60;BR=000092"),
    ],
)
def test_edition_2_has_one_string_that_ends_in_our_registration_id(choices, scope):
    assert utilities.get("cecony").requested_scope(registration("cecony", "v2"), choices) == scope


def test_edition_2_leaves_by_the_standards_address():
    url = depart("cecony", "v2", ["customer"])
    assert url == (
        "https://www.coned.com/en/oauth/authorize?response_type=code&client_id=0oa-client"
        "&redirect_uri=http%3A%2F%2Flocalhost%3A8000%2Fespi%2F1_1%2FOAuthCallBack%2Fcecony"
        "&scope=FB%3D51_53_56_57_58_60%3BBR%3D000092&state=st%2Fat%20e"
    )


def test_pge_is_told_an_end_date_and_nothing_about_data():
    url = depart("pge", "", ["usage"], end_date=date(2027, 6, 30))
    end = int(datetime(2027, 7, 1, 7, tzinfo=UTC).timestamp())
    assert url.startswith("https://sharemydata.pge.com/myAuthorization?client_id=0oa-client&redirect_uri=http%3A%2F%2F")
    assert url.endswith(f"&response_type=code&state=st%2Fat%20e&scope=PreferredAuthEndDate%3D{end}")
    assert "scope" not in depart("pge", "", ["usage", "billing"])


def test_utilityapi_gets_its_blocks_and_terms_encoded_once():
    url = depart("essex", "", ["usage", "billing", "customer"])
    assert url.startswith(
        "https://greenbutton.essexpowerlines.ca/oauth/authorize?response_type=code&client_id=0oa-client"
    )
    assert (
        "&scope=FB%3D4_16_51_39%3BHistoryLength%3D63072000%3BSubscriptionFrequency%3Ddaily"
        "%3BAdditionalScope%3Dauth-lastbill&state=" in url
    )
    ending = depart("essex", "", ["usage"], end_date=date(2027, 1, 31))
    assert (
        f"FB%3D4_39%3BHistoryLength%3D63072000%3BPreferredAuthEndDate%3D{int(datetime(2027, 2, 1, 5, tzinfo=UTC).timestamp())}"
        in ending
    )


def test_a_challenge_is_sent_only_where_there_is_one():
    url = depart("essex", "", ["usage"], code_challenge="abc")
    assert url.endswith("&code_challenge=abc&code_challenge_method=S256")
    assert "code_challenge" not in depart("essex", "", ["usage"])


@pytest.mark.parametrize(
    "choices", [[], ["nothing"], ["usage", "usage"], ["usage|customer"], ["FB=1_3;"], ["usage", "billing", "x"]]
)
def test_a22_a_scope_is_built_only_from_known_ids(profile, choices):
    utility, app = profile
    with pytest.raises(UnknownChoice):
        utility.requested_scope(app, choices)


def test_a22_real_time_data_is_in_no_scope_of_edition_2():
    with pytest.raises(UnknownChoice):
        utilities.get("oru").requested_scope(registration("oru", "v2"), ["realtime"])


# --- A23: what was granted ---

PGE_SCOPE = (
    "FB=1_3_8_13_14_18_19_31_32_35_37_38_39_{};AdditionalScope={};HistoryLength=63072000;BR=50123;dataCustodianId=PGE"
)
V1_ALL = " ".join(V1_SCOPES[name] for name in ("customer", "realtime", "usage", "billing"))


@pytest.mark.parametrize(
    ("slug", "edition", "scope", "granted"),
    [
        ("cecony", "v1", V1_ALL, {"usage", "billing", "realtime", "customer"}),
        ("cecony", "v1", f"{V1_SCOPES['usage']} {V1_SCOPES['customer'][:-1]}", {"usage", "customer"}),
        ("cecony", "v1", "FB=1_3_4_5;HistoryLength=63113904;", set()),
        ("cecony", "v1", "", set()),
        ("oru", "v2", f"FB=1_3_4_10_51_53_56{TAIL}", {"usage", "customer"}),
        ("oru", "v2", "FB=1_3_15;BR=000092", {"billing"}),
        ("pge", "", PGE_SCOPE.format("4_5_10_15", "Usage"), {"usage"}),
        ("pge", "", PGE_SCOPE.format("15_16_46_47", "Billing_Basic") + ";", {"billing", "customer"}),
        ("pge", "", PGE_SCOPE.format("4_15_46_47", "Usage_ProgramEnrollment"), {"usage", "programs"}),
        ("pge", "", PGE_SCOPE.format("40", "Usage"), set()),
        ("pge", "", "38475", {"usage", "billing", "customer"}),
        ("essex", "", "FB=1_3_4_5_13_14_16_18_19_35_39_51;IntervalDuration=3600;AccountCollection=1", {"usage", "billing", "customer"}),
        ("essex", "", "FB=1_3_4_39", {"usage"}),
        ("essex", "", "FB=46_39", {"customer"}),
    ],
)  # fmt: skip
def test_a23_what_was_granted_is_read_from_the_answer(slug, edition, scope, granted):
    assert utilities.get(slug).granted_choices(registration(slug, edition), scope) == granted


@pytest.mark.parametrize(
    ("slug", "edition", "asked", "scope", "is_foreign"),
    [
        ("cecony", "v1", ["usage", "customer"], V1_SCOPES["usage"], False),
        ("cecony", "v1", ["usage", "customer"], f"{V1_SCOPES['customer']} {V1_SCOPES['usage']}", False),
        ("cecony", "v1", ["usage"], f"{V1_SCOPES['usage']} {V1_SCOPES['customer']}", True),
        ("cecony", "v1", ["usage"], V1_SCOPES["usage"].replace("63113904", "99999999"), True),
        ("oru", "v2", ["usage", "billing"], "FB=1_3_15;HistoryLength=63072000;BR=000092", False),
        ("oru", "v2", ["usage"], "FB=1_3_4_5;BR=000077", True),
        ("oru", "v2", ["usage"], "FB=1_3_4_5_51_53;BR=000092", True),
        ("oru", "v2", ["usage"], "FB=1_3_4_5;HistoryLength=630720000;BR=000092", True),
        ("pge", "", ["usage"], PGE_SCOPE.format("4_16_46", "Usage_Billing_Basic"), False),
        ("pge", "", ["usage"], PGE_SCOPE.format("4_5", "Usage_Billing_Basic").replace("50123", "50999"), True),
        ("essex", "", ["usage", "billing"], "FB=1_3_4_5_39;HistoryLength=63072000;AccountCollection=2", False),
        ("essex", "", ["usage"], "FB=1_3_4_16_39_51", True),
        ("essex", "", ["usage"], "FB=1_3_4_39;BR=another-bulk", True),
    ],
)
def test_a23_a_scope_that_is_wider_or_another_partys_is_foreign(slug, edition, asked, scope, is_foreign):
    utility, app = utilities.get(slug), registration(slug, edition)
    assert utility.scope_is_foreign(app, scope, utility.requested_scope(app, asked)) == is_foreign


# --- First requests ---


def planned(authorization):
    app = authorization.application_information
    utility = utilities.get(app.utility)
    requests = utility.first_requests(app, authorization, NOW)
    base = utility.resource_base(app)
    for request in requests:
        utility.check_url(app, request.url)
        assert utility.token_class(app, request.url) == request.token_class == "access"
        assert utility.url_subscription_id(app, request.url) == authorization.utility_subscription_id
    return [(request.kind, request.url.removeprefix(base)) for request in requests]


def test_edition_1_asks_for_two_years_by_day_both_inclusive():
    assert planned(connection("cecony", "v1", "usage", "billing", "customer")) == [
        ("usage", "/Batch/Subscription/976?publishedMin=2024-11-20&publishedMax=2026-11-19"),
        ("customer", "/Customer/976"),
    ]


def test_edition_2_asks_from_new_york_midnight_to_new_york_midnight():
    assert planned(connection("oru", "v2", "billing", "customer")) == [
        ("usage", "/Batch/Subscription/976?published-min=2024-11-20T05:00:00Z&published-max=2026-11-20T05:00:00Z"),
        ("customer", "/Batch/RetailCustomer/976"),
    ]


@pytest.mark.parametrize(
    ("day", "start", "end"),
    [  # contract §8
        (date(2025, 9, 15), "2025-09-15T04:00:00Z", "2025-09-16T04:00:00Z"),
        (date(2025, 2, 15), "2025-02-15T05:00:00Z", "2025-02-16T05:00:00Z"),
        (date(2025, 3, 9), "2025-03-09T05:00:00Z", "2025-03-10T04:00:00Z"),
        (date(2024, 11, 3), "2024-11-03T04:00:00Z", "2024-11-04T05:00:00Z"),
        (date(2026, 11, 1), "2026-11-01T04:00:00Z", "2026-11-02T05:00:00Z"),
    ],
)
def test_a_local_day_begins_and_ends_at_these_instants(day, start, end):
    utility = utilities.get("cecony")
    assert utility.midnight(day) == datetime.fromisoformat(start)
    assert utility.midnight(date.fromordinal(day.toordinal() + 1)) == datetime.fromisoformat(end)


def test_pge_asks_for_whole_years_to_the_last_second_the_latest_first():
    assert planned(connection("pge", "", "usage", "customer")) == [
        ("usage", "/Batch/Subscription/976?published-min=2025-11-20T08:00:00Z&published-max=2026-11-20T07:59:59Z"),
        ("usage", "/Batch/Subscription/976?published-min=2024-11-20T08:00:00Z&published-max=2025-11-20T07:59:59Z"),
        ("customer", "/Batch/RetailCustomer/976"),
    ]


def test_pge_has_programs_in_a_file_of_their_own():
    authorization = connection("pge", "", "programs")
    assert planned(authorization) == [("customer", "/Batch/RetailDRPrgInfo/976")]
    utility, app = utilities.get("pge"), authorization.application_information
    assert list(utility.plan(app, authorization)) == ["customer"]
    authorization.data_granted = ["customer", "programs"]
    assert [path for _, path in planned(authorization)] == ["/Batch/RetailCustomer/976", "/Batch/RetailDRPrgInfo/976"]


def test_a23_kinds_are_those_of_the_choices_that_were_granted():
    def kinds(slug, edition, *granted, scope=""):
        authorization = connection(slug, edition, *granted)
        authorization.scope_granted = scope
        return utilities.get(slug).granted_kinds(authorization.application_information, authorization)

    assert PROGRAMS in kinds("pge", "", "programs")
    assert PROGRAMS not in kinds("pge", "", "customer")
    assert "CustomerAgreement" not in kinds("pge", "", "programs")
    assert {"Customer", "CustomerAccount", "Meter"} <= kinds("cecony", "v1", "customer")
    some = kinds("cecony", "v2", "customer", scope="FB=51_53_56_58;BR=000092")
    assert {"Customer", "CustomerAccount", "ServiceLocation"} <= some
    assert not {"CustomerAgreement", "Meter", PROGRAMS} & some
    assert kinds("essex", "", "usage", "no longer offered") == kinds("essex", "", "usage")


def test_pge_halves_a_window_that_is_too_large_until_it_is_a_day():
    authorization = connection("pge", "", "usage")
    app, utility = authorization.application_information, utilities.get("pge")
    [first, second] = utility.first_requests(app, authorization, NOW)
    assert first.window_start == second.window_end
    pieces = utility.smaller_requests(app, first)
    assert [(piece.window_start, piece.window_end) for piece in pieces] == [
        (first.window_start, pieces[0].window_end),
        (pieces[0].window_end, first.window_end),
    ]
    while len(pieces) == 2:
        smallest = pieces[0]
        pieces = utility.smaller_requests(app, smallest)
    assert (smallest.window_end - smallest.window_start).days == 1
    assert pieces == []


def test_where_there_is_no_filter_a_window_is_not_divided():
    authorization = connection("essex", "", "usage")
    app, utility = authorization.application_information, utilities.get("essex")
    assert utility.smaller_requests(app, utility.first_requests(app, authorization, NOW)[0]) == []


def test_utilityapi_asks_without_a_filter():
    assert planned(connection("essex", "", "usage", "billing", "customer", subscription_id="700001")) == [
        ("usage", "/Batch/Subscription/700001"),
        ("customer", "/Batch/RetailCustomer/700001"),
    ]


def test_nothing_is_asked_for_that_was_not_granted(profile):
    utility, app = profile
    authorization = connection(app.utility, app.edition)
    assert utility.first_requests(app, authorization, NOW) == []
    authorization.data_granted = ["customer"]
    assert [request.kind for request in utility.first_requests(app, authorization, NOW)] == ["customer"]


def test_real_time_data_of_edition_1_are_found_step_by_step():
    authorization = connection("cecony", "v1", "realtime")
    app, utility = authorization.application_information, utilities.get("cecony")
    base = utility.resource_base(app)
    assert planned(authorization) == [("usage", "/Subscription/976/UsagePoint")]
    links = [f"{base}/Subscription/976/UsagePoint/41"] * 2
    assert [r.url for r in utility.follow_up_requests(app, authorization, links)] == [f"{links[0]}/MeterReading"]
    links = [f"{base}/Subscription/976/UsagePoint/41/MeterReading/MR_1", f"{base}/ReadingType/3"]
    assert [r.url for r in utility.follow_up_requests(app, authorization, links)] == [
        f"{base}/RealTime/Subscription/976/UsagePoint/41/MeterReading/MR_1/IntervalBlock"
    ]
    authorization.data_granted = ["usage"]
    assert utility.follow_up_requests(app, authorization, links) == []


def test_an_id_cannot_change_the_path():
    authorization = connection("essex", "", "usage", subscription_id="../Bulk/1?x=")
    app, utility = authorization.application_information, utilities.get("essex")
    url = utility.first_requests(app, authorization, NOW)[0].url
    assert url.endswith("/Batch/Subscription/..%2FBulk%2F1%3Fx=")
    with pytest.raises(UntrustedAddress):
        utility.check_url(app, url)


def test_ending_is_refused_in_words_where_the_utility_has_no_call_for_it():
    authorization = connection("cecony", "v1", "usage")
    with pytest.raises(RevocationRefused, match="sign in on its site"):
        utilities.get("cecony").revoke(authorization.application_information, authorization, client_token="")
    authorization = connection("essex", "", "usage")
    authorization.application_information.api_token = ""
    with pytest.raises(RevocationRefused, match="no API token"):
        utilities.get("essex").revoke(authorization.application_information, authorization, client_token="")


def test_documents_are_read_in_the_utilitys_own_way(profile):
    utility, app = profile
    dialect = utility.dialect(app)
    assert dialect.time_zone == utility.time_zone
    assert dialect.default_currency == (124 if app.utility in ("essex", "welland") else 840)
    assert dialect.interval_values == ("decimal_kwh" if app.edition == "v1" else "integer")


@pytest.mark.parametrize("utility", utilities.all(), ids=lambda utility: utility.slug)
def test_a_receipt_can_say_who_hears_complaints(utility):
    assert utility.regulator.name
    assert utility.regulator.address.startswith("https://")
    assert re.fullmatch(r"1-\d{3}-\d{3}-\d{4}", utility.regulator.telephone)
