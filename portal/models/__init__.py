"""The portal's own rows: people and what they agreed to, and how the work with each utility stands."""

from portal.models.acceptance import (
    AcceptanceHop,
    AcceptancePart,
    AcceptanceResult,
    AcceptanceStep,
    AcceptanceTest,
    Outcome,
)
from portal.models.access import ApiToken
from portal.models.engine import Circuit, DataGap, FetchPlan, Heartbeat, StaffAlert, UtilityCall
from portal.models.people import Consent, EmailUserManager, User, UtilityVisit
from portal.models.staff import StaffAccess

__all__ = [
    "AcceptanceHop",
    "AcceptancePart",
    "AcceptanceResult",
    "AcceptanceStep",
    "AcceptanceTest",
    "ApiToken",
    "Circuit",
    "Consent",
    "DataGap",
    "EmailUserManager",
    "FetchPlan",
    "Heartbeat",
    "Outcome",
    "StaffAccess",
    "StaffAlert",
    "User",
    "UtilityCall",
    "UtilityVisit",
]
