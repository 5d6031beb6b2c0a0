"""What a job does when it is our own machine that fails."""

import errno

import pytest

from portal.flows.fetch import judging
from tests.portal import rows
from tests.portal.rows import NOW

pytestmark = pytest.mark.django_db


@pytest.fixture
def job():
    return rows.job(rows.authorization(rows.registration("essex", "")), "http://localhost:8001/none")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_f52_a_full_disk_is_waited_out_and_costs_no_attempt(job, number):
    result = judging.result_of(OSError(number, "full"), job, NOW)
    assert (result.state, result.is_counted, result.held_up_since) == ("due", False, NOW)
    assert "no room" in result.reason
    assert result.not_before > NOW


def test_other_trouble_of_our_machine_is_counted(job):
    result = judging.result_of(OSError(errno.EIO, "broken"), job, NOW)
    assert (result.state, result.is_counted) == ("due", True)
    assert "fault of ours" in result.reason
