"""PG&E's token endpoint: certificate, client, fields, grants, rotation, the registration test, and its oddities."""

import pytest

from tests.sandbox.pge_helpers import API, ESPI, REDIRECT, World, back

TOKEN = f"{API}/datacustodian/oauth/v2/token"


@pytest.fixture
def world():
    return World()


def test_without_a_certificate_the_answer_is_a_json_string_and_the_code_survives(world):
    code = world.code()
    answer = world.exchange(code, certificate=False)
    assert (answer.status_code, answer.text) == (400, '"Invalid Certificate"')
    assert world.exchange(code).status_code == 200


def test_another_third_partys_certificate_is_not_accepted(world):
    other = world.register("https://other.example/callback")
    fields, overrides = {"grant_type": "client_credentials"}, world.certificate(other)
    answer = world.app.test_client().post(TOKEN, data=fields, headers=world.basic(), environ_overrides=overrides)
    assert answer.text == '"Invalid Certificate"'


def test_a_certificate_the_server_could_not_verify_is_no_certificate(world):
    overrides = world.certificate() | {"SSL_CLIENT_VERIFY": "FAILED"}
    answer = world.app.test_client().get(f"{ESPI}/ReadServiceStatus", environ_overrides=overrides)
    assert answer.text == '"Invalid Certificate"'


def test_get_is_not_permitted(world):
    answer = world.app.test_client().get(TOKEN, environ_overrides=world.certificate())
    assert answer.status_code == 405
    assert answer.json == {"error": "invalid_request", "error_description": "GET not permitted"}


def test_the_client_token_has_a_key_of_its_own(world):
    answer = world.token(grant_type="client_credentials").json
    assert set(answer) == {"client_access_token", "token_type", "expires_in", "scope"}
    assert answer["scope"] == "5+6+7"


def test_fields_may_stand_in_the_query_but_not_in_both(world):
    def post(**how):
        overrides = world.certificate()
        return world.app.test_client().post(TOKEN, headers=world.basic(), environ_overrides=overrides, **how)

    fields = {"grant_type": "client_credentials"}
    assert "client_access_token" in post(query_string=fields).json
    assert post(query_string=fields, data=fields).status_code == 400
    assert post(json=fields).json["error_description"] == "Missing grant_type"
    assert post().json == {"error": "invalid_request", "error_description": "Missing grant_type"}
    assert post(data={"grant_type": "password"}).json["error"] == "unsupported_grant_type"


def test_a_wrong_secret_or_no_basic_header_is_invalid_client(world):
    for headers in (world.basic("wrong"), {}, {"Authorization": "Basic ###"}, {"Authorization": "Bearer x"}):
        answer = world.app.test_client().post(
            TOKEN, data={"grant_type": "client_credentials"}, headers=headers, environ_overrides=world.certificate()
        )
        assert (answer.status_code, answer.json["error"]) == (401, "invalid_client")


def test_the_exchange_names_the_batch_and_the_authorization(world):
    answer = world.connect()
    number = answer["authorizationURI"].rpartition("/")[2]
    assert answer["resourceURI"] == f"{ESPI}/Batch/Subscription/{number}"
    assert answer["authorizationURI"] == f"{ESPI}/Authorization/{number}"
    assert "customerResourceURI" not in answer


def test_without_usage_and_billing_there_is_no_resource_uri(world):
    answer = world.connect(group=["Basic", "Account"])
    assert "resourceURI" not in answer
    assert answer["scope"].startswith("FB=1_3_8_13_14_18_19_31_32_35_37_38_39_46_47;AdditionalScope=Basic_Account;")


def test_a_code_works_once_for_ten_minutes_and_its_own_redirect(world):
    code = world.code()
    assert world.token(grant_type="authorization_code", code=code).status_code == 400
    assert world.exchange(code).status_code == 200
    again = world.exchange(code)
    assert (again.status_code, again.json["error"]) == (400, "invalid_request")
    late = world.code("solar")
    world.now += 601
    assert world.exchange(late).status_code == 400


def test_the_fault_expired_code_makes_a_code_that_is_too_old(world):
    world.fault("expired_code")
    assert world.exchange(world.code()).json["error"] == "invalid_request"


def test_refresh_tokens_rotate(world):
    first = world.connect()
    second = world.token(grant_type="refresh_token", refresh_token=first["refresh_token"]).json
    assert second["refresh_token"] != first["refresh_token"]
    dead = world.token(grant_type="refresh_token", refresh_token=first["refresh_token"])
    assert (dead.status_code, dead.json["error"]) == (400, "invalid_request")
    assert world.get("ReadingType", second["access_token"]).status_code == 200


def test_access_tokens_live_an_hour(world):
    tokens = world.connect()
    world.now += 3601
    dead = world.get("ReadingType", tokens["access_token"])
    assert (dead.status_code, dead.json["error_description"]) == (401, "Invalid access token")


def test_a_new_authorization_cancels_the_old_one_when_its_code_is_exchanged(world):
    old = world.connect()
    code = world.code()
    assert world.get("ReadingType", old["access_token"]).status_code == 200
    new = world.exchange(code).json
    assert new["authorizationURI"] != old["authorizationURI"]
    assert world.get("ReadingType", old["access_token"]).status_code == 401
    assert world.token(grant_type="refresh_token", refresh_token=old["refresh_token"]).status_code == 400
    assert world.deliver() == [old["authorizationURI"]]


def test_the_registration_test_gives_dummy_tokens_without_a_customer(world):
    page = world.app.test_client()
    url = f"{API}/datacustodian/test/oauth/v2/authorize"
    assert page.get(url).json == {"error": "invalid_request", "error_description": "client_id is empty"}
    query = {"client_id": world.welcome["client_id"], "redirect_uri": REDIRECT, "response_type": "code", "state": "t"}
    answer = back(page.get(url, query_string=query))
    assert answer["state"] == "t"
    assert world.exchange(answer["code"]).status_code == 400, "a test code is not good in production"
    tokens = world.exchange(answer["code"], test=True).json
    assert {"access_token", "refresh_token", "resourceURI"} <= set(tokens)
    assert world.get(tokens["resourceURI"], tokens["access_token"]).status_code == 400
    assert "Completed" in world.browser.get("/sharemydata.pge.com/registration").text


def test_the_oauth_test_button_sends_the_operator_to_the_portal_with_dummies(world):
    form = {"registration": "1", "action": "oauth-test"}
    row = world.sandbox.store.get("registrations", client_id=world.welcome["client_id"])
    answer = world.browser.post("/sharemydata.pge.com/registration", data=form | {"registration": row["id"]})
    assert "scope=xxx&ThirdPartyID=" in answer.headers["Location"]


def test_credentials_of_the_test_environment_are_not_good_in_production():
    world = World(environment="test")
    assert world.token(grant_type="client_credentials").json["error"] == "invalid_client"
    assert world.token(test=True, grant_type="client_credentials").status_code == 200


@pytest.mark.parametrize(
    ("fault", "check"),
    [
        ("token_expires_string", lambda answer: answer.json["expires_in"] == "3600"),
        ("token_scope_number", lambda answer: answer.json["scope"] == answer.json["resourceURI"].rpartition("/")[2]),
        ("token_no_resource_uri", lambda answer: "resourceURI" not in answer.json),
        ("narrower_scope", lambda answer: "Billing" not in answer.json["scope"] and "_16" not in answer.json["scope"]),
        ("wider_scope", lambda answer: "_99;" in answer.json["scope"]),
        ("token_html", lambda answer: answer.mimetype == "text/html"),
        ("token_missing_access_token", lambda answer: "access_token" not in answer.json),
        ("no_refresh_token", lambda answer: "refresh_token" not in answer.json),
    ],
)
def test_oddities_of_token_answers_can_be_asked_for(world, fault, check):
    code = world.code()
    world.fault(fault)
    assert check(world.exchange(code))


def test_the_client_token_may_come_as_xml(world):
    world.fault("client_token_xml")
    answer = world.token(grant_type="client_credentials")
    assert answer.mimetype == "application/xml"
    assert "<client_access_token>" in answer.text
