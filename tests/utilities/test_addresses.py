"""Which URLs a token may be sent to: C07 and A21, judged on the string that is really sent."""

import pytest

import utilities
from tests.utilities.conftest import registration
from utilities.oauth import UntrustedAddress

GOOD = "https://api.coned.com/gbc/v1/resource/Batch/Download?requestId=1&responseId=2&subscriptionId=976"


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/gbc/v1/resource/Batch/Download",
        "https://api.coned.com.evil.example/gbc/v1/resource/x",
        "https://x.api.coned.com/gbc/v1/resource/x",
        "https://coned.com/gbc/v1/resource/x",
        "https://apit.coned.com/gbc/v1/resource/x",
        "https://api.coned.com./gbc/v1/resource/x",
        "http://api.coned.com/gbc/v1/resource/x",
        "https://api.coned.com:444/gbc/v1/resource/x",
        "https://api.coned.com:0/gbc/v1/resource/x",
        "https://api.coned.com:443443/gbc/v1/resource/x",
        "https://api.coned.com:x/gbc/v1/resource/x",
        "https://user@api.coned.com/gbc/v1/resource/x",
        "https://user:pw@api.coned.com/gbc/v1/resource/x",
        "https://api.coned.com@evil.example/gbc/v1/resource/x",
        "https://evil.example\\@api.coned.com/gbc/v1/resource/x",
        "https://api.coned.com\\.evil.example/gbc/v1/resource/x",
        "https:\\\\api.coned.com/gbc/v1/resource/x",
        "https://api.coned.com/gbc/v1/resource/../../espi/x",
        "https://api.coned.com/gbc/v1/resource/%2e%2e/x",
        "https://api.coned.com/gbc/v1/resource/%2E./x",
        "https://api.coned.com/gbc/v1/resource/%252e%252e/x",
        "https://api.coned.com/gbc/v1/resource/..;/x",
        "https://api.coned.com/gbc/v1/resource/..;a=b/x",
        "https://api.coned.com/gbc/v1/resource/..%2f..%2fx",
        "https://api.coned.com/gbc/v1/resource/..%5cx",
        "https://api.coned.com/gbc/v1/resource/./x",
        "https://api.coned.com/gbc/v1/resourceful/x",
        "https://api.coned.com/gbc/v1/",
        "https://api.coned.com/",
        "https://api.coned.com",
        "https://api.coned.com/gbc/V1/resource/x",
        "https://api.coned.com//gbc/v1/resource/x",
        "https://api.coned.com/gbc/v1/resource/x#fragment",
        "https://api.coned.com/gbc/v1/resource/x y",
        "https://api.coned.com/gbc/v1/resource/x\r\nHost: evil.example",
        "https://api.coned.com/gbc/v1/resource/x\t",
        "https://api.coned.com/gbc/v1/resource/x\x00",
        " https://api.coned.com/gbc/v1/resource/x",
        "\nhttps://api.coned.com/gbc/v1/resource/x",
        "https://api.сoned.com/gbc/v1/resource/x",
        "https://xn--api-oned-nnh.com/gbc/v1/resource/x",
        "https://ａpi.coned.com/gbc/v1/resource/x",
        "https://api%2econed.com/gbc/v1/resource/x",
        "https://2130706433/gbc/v1/resource/x",
        "https://0x7f000001/gbc/v1/resource/x",
        "https://127.1/gbc/v1/resource/x",
        "https://[::ffff:127.0.0.1]/gbc/v1/resource/x",
        "https://[::1/gbc/v1/resource/x",
        "//api.coned.com/gbc/v1/resource/x",
        "/gbc/v1/resource/x",
        "gbc/v1/resource/x",
        "https:/api.coned.com/gbc/v1/resource/x",
        "https:api.coned.com/gbc/v1/resource/x",
        "https:///gbc/v1/resource/x",
        "file:///etc/passwd",
        "gopher://api.coned.com/gbc/v1/resource/x",
        "javascript:alert(1)",
        "ftp://api.coned.com/gbc/v1/resource/x",
        "",
        GOOD + "&x=" + "a" * 2048,
    ],
)
def test_c07_an_address_that_leads_elsewhere_is_refused(url):
    with pytest.raises(UntrustedAddress) as refusal:
        utilities.get("cecony").check_url(registration("cecony", "v1", "production"), url)
    assert refusal.value.reason
    assert "evil" not in refusal.value.reason


@pytest.mark.parametrize(
    "url",
    [
        GOOD,
        "https://API.coned.com:443/gbc/v1/resource/Batch/Download?requestId=1",
        "https://api.coned.com/gbc/v1/resource/Subscription/976/UsagePoint/4/MeterReading/M/IntervalBlock/"
        "SP_4_KWH%2015%20Minute%20Interval%20Read%20Interval",
        "https://api.coned.com/gbc/v1/resource/ReadingType/NzI6bnVsbDozNjAwOjE=",
        "https://api.coned.com/gbc/v1/resource/UsageSummary/1,436,684,400,000",
        "https://api.coned.com/gbc/v1/resource/Batch/Download?requestId=a@b;c&d=../x",
        "https://api.coned.com/gbc/v1/resource",
    ],
)
def test_an_address_of_the_utility_is_accepted_as_it_stands(url):
    utilities.get("cecony").check_url(registration("cecony", "v1", "production"), url)


def test_e13_an_address_of_one_environment_or_edition_is_refused_in_another(profile):
    utility, app = profile
    live = f"{utility.resource_base(app)}/Batch/Subscription/1"
    played = registration(app.utility, app.edition, "sandbox")
    with pytest.raises(UntrustedAddress):
        utility.check_url(played, live)
    with pytest.raises(UntrustedAddress):
        utility.check_url(app, f"{utility.resource_base(played)}/Batch/Subscription/1")


def test_in_the_sandbox_only_the_played_host_counts():
    utility, app = utilities.get("essex"), registration("essex")
    base = "http://localhost:8001/utilityapi.com/DataCustodian/espi/1_1/resource"
    utility.check_url(app, f"{base}/Batch/Subscription/1")
    for url in (
        "http://localhost:8001/api.coned.com/gbc/v1/resource/x",
        "https://localhost:8001/utilityapi.com/DataCustodian/espi/1_1/resource/x",
        "http://localhost:8002/utilityapi.com/DataCustodian/espi/1_1/resource/x",
        "http://127.0.0.1:8001/utilityapi.com/DataCustodian/espi/1_1/resource/x",
        f"{base}/../../../../../x",
    ):
        with pytest.raises(UntrustedAddress):
            utility.check_url(app, url)


@pytest.mark.parametrize(
    ("slug", "edition", "path", "token_class", "subscription_id"),
    [
        ("cecony", "v1", "Batch/Download?requestId=1&responseId=2&subscriptionId=976", "access", "976"),
        ("cecony", "v1", "Batch/Download?requestId=1&responseId=2", "access", ""),
        ("cecony", "v1", "Batch/Download?subscriptionId=1&subscriptionId=2", "access", ""),
        ("cecony", "v1", "Customer/976", "access", "976"),
        ("cecony", "v1", "Authorization/1482", "client", ""),
        ("oru", "v2", "Batch/Bulk/7?published-min=x", "client", ""),
        ("oru", "v2", "RealTime/Batch/Bulk/7", "client", ""),
        ("oru", "v2", "RealTime/Batch/Subscription/976", "access", "976"),
        ("oru", "v2", "Batch/RetailCustomer/976", "access", "976"),
        ("oru", "v2", "ReadServiceStatus", "client", ""),
        ("oru", "v2", "ApplicationInformation/000092", "registration", ""),
        ("pge", "", "Batch/Bulk/50123?correlationID=1", "client", ""),
        ("pge", "", "Batch/BulkRetailCustomerInfo/50123", "client", ""),
        ("pge", "", "Batch/BulkRetailDRPrgInfo/50123", "client", ""),
        ("pge", "", "DownloadSampleData", "client", ""),
        ("pge", "", "Authorization/61234", "client", "61234"),
        ("pge", "", "Batch/Subscription/61234?correlationID=1", "access", "61234"),
        ("pge", "", "Batch/RetailDRPrgInfo/61234", "access", "61234"),
        ("pge", "", "ReadingType/NzI6bnVsbA==", "access", ""),
        ("essex", "", "Bulk/b-17", "client", ""),
        ("essex", "", "Authorization", "client", ""),
        ("essex", "", "Subscription/700001/UsagePoint/8", "access", "700001"),
        ("essex", "", "RetailCustomer/700001/Customer/9", "access", "700001"),
        ("essex", "", "LocalTimeParameters/TIMEZONE_1_2", "access", ""),
        ("essex", "", "Bulky/1", "access", ""),
        ("essex", "", "%42ulk/b-17", "client", ""),
    ],
)
def test_the_path_says_which_token_and_whose_data(slug, edition, path, token_class, subscription_id):
    utility, app = utilities.get(slug), registration(slug, edition, "production")
    url = f"{utility.resource_base(app)}/{path}"
    assert utility.token_class(app, url) == token_class
    assert utility.url_subscription_id(app, url) == subscription_id


def test_no_token_class_is_told_for_a_foreign_address(profile):
    utility, app = profile
    for ask in (utility.token_class, utility.url_subscription_id):
        with pytest.raises(UntrustedAddress):
            ask(app, "https://evil.example/Batch/Subscription/1")


def test_con_edisons_first_edition_sends_the_gateways_key_with_every_call(profile):
    utility, app = profile
    headers = utility.resource_headers(app, "t")
    assert headers["Authorization"] == "Bearer t"
    assert headers["Accept"] == "application/atom+xml"
    assert headers.get("ocp-apim-subscription-key") == ("apim-key" if app.edition == "v1" else None)
