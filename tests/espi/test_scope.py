"""Scope strings of the three platforms: read, compared and returned byte for byte."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espi import scope
from espi.scope import Scope

# The four constants Con Edison V1 accepts (onboarding document; contract 2.3).
CONSUMPTION = (
    "FB=1_3_4_5_7_10_13_14_18_32_33_35_37_38_41_44;IntervalDuration=Monthly_3600_900_300;"
    "BlockDuration=Monthly_Daily;HistoryLength=63113904;"
)
BILLING = (
    "FB=1_3_6_10_13_14_15_16_28_32_33_35_37_38_41_44;IntervalDuration=Monthly;BlockDuration=Monthly;"
    "HistoryLength=63113904;"
)
REAL_TIME = (
    "FB=1_3_4_5_7_13_14_18_32_33_35_37_38_41_44;IntervalDuration=900_300;BlockDuration=Daily;HistoryLength=86400;"
)
RETAIL_CUSTOMER = "FB=1_3_13_14_46_47;"
V1 = (CONSUMPTION, BILLING, REAL_TIME, RETAIL_CUSTOMER)


@pytest.mark.parametrize("text", V1)
def test_a_v1_constant_goes_round_byte_for_byte(text):
    assert str(Scope.parse(text)) == text
    assert [str(part) for part in Scope.parse(text).parts] == [text]


@pytest.mark.parametrize("separator", ["|", " ", "| ", "\n"])
def test_v1_lists_split_before_each_fb_into_the_constants(separator):
    parts = Scope.parse(scope.join(V1, separator)).parts
    assert {str(part) for part in parts} == set(V1)


def test_v1_answers_in_its_own_order_with_blanks():
    answer = Scope.parse(f"{RETAIL_CUSTOMER} {CONSUMPTION}")
    assert {str(part) for part in answer.parts} == {CONSUMPTION, RETAIL_CUSTOMER}
    assert answer.values("HistoryLength") == ("63113904",)
    assert answer.function_blocks[:4] == ("1", "3", "13", "14")


def test_v2_holds_one_string_with_our_id():
    text = (
        "FB=1_3_4_5;IntervalDuration=Monthly_3600_900_300;BlockDuration=Monthly_Daily;HistoryLength=63072000;BR=000092"
    )
    found = Scope.parse(text)
    assert str(found) == text
    assert found.get("BR") == "000092"
    assert found.values("IntervalDuration") == ("Monthly", "3600", "900", "300")


def test_pge_scope_is_unsorted_and_has_further_keys():
    text = (
        "FB=1_3_8_13_14_18_19_31_32_35_37_38_39_4_5_15_16;AdditionalScope=Usage_Billing;IntervalDuration=900_3600;"
        "BlockDuration=Daily;HistoryLength=63072000;AccountCollection=2;BR=50123;dataCustodianId=PGE"
    )
    found = Scope.parse(text)
    assert str(found) == text
    assert found.additional == ("Usage", "Billing")
    assert found.function_blocks[-4:] == ("4", "5", "15", "16")
    assert found.get("datacustodianid") == "PGE"


@pytest.mark.parametrize("text", ["38475", "5+6+7", "xxx", "", ";", "FB=", "MinAuthEndDate=1;PreferredAuthEndDate=2"])
def test_noise_has_no_function_blocks_and_is_kept(text):
    found = Scope.parse(text)
    assert str(found) == text
    assert found.function_blocks == ()


def test_utilityapi_options_are_glued_to_the_option_they_belong_to():
    text = "FB=4_16_51;HistoryLength=63072000;AdditionalScope=noedit_auth-test-test_residential_meters-all"
    assert Scope.parse(text).additional == ("noedit", "auth-test-test_residential", "meters-all")


def test_utilityapi_account_numbers_keep_their_dashes_and_underscores():
    assert scope.options("auth-lastbill-111111111-1_auth-utility-a_b") == (
        "auth-lastbill-111111111-1",
        "auth-utility-a_b",
    )


@given(st.text())
def test_any_text_goes_round(text):
    found = Scope.parse(text)
    assert str(found) == text
    assert isinstance(found.function_blocks, tuple)
    assert isinstance(found.pairs, tuple)
