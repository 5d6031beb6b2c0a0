"""The only customer whose data an acceptance test ever asks for: the tester, connected through the tested registration."""

from espi.models import ApplicationInformation, Authorization, AuthorizationRequest
from portal.models import AcceptanceTest

Environment = ApplicationInformation.Environment
TESTED = (Environment.SANDBOX, Environment.TEST)
Status = AuthorizationRequest.Status
WITH_A_GRANT = (Status.CONNECTED, Status.NARROWER, Status.ALREADY)


def connection(test: AcceptanceTest) -> Authorization | None:
    """The tester's newest live connection, if there is one."""
    mine = Authorization.objects.filter(
        application_information=test.application_information_id,
        application_information__environment__in=TESTED,
        retail_customer=test.tester_id,
        status=Authorization.Status.ACTIVE,
    )
    return mine.select_related("application_information").order_by("-pk").first()


def granted_journey(test: AcceptanceTest) -> AuthorizationRequest | None:
    """The tester's newest journey that came back with a grant."""
    mine = AuthorizationRequest.objects.filter(
        application_information=test.application_information_id,
        retail_customer=test.tester_id,
        status__in=WITH_A_GRANT,
    )
    return mine.order_by("-pk").first()
