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
from portal.models.leaving import Departure, Export, ExportPart
from portal.models.letters import Letter
from portal.models.people import Consent, ConsentEvent, EmailUserManager, User, UtilityVisit
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
    "ConsentEvent",
    "DataGap",
    "Departure",
    "EmailUserManager",
    "Export",
    "ExportPart",
    "FetchPlan",
    "Heartbeat",
    "Letter",
    "Outcome",
    "StaffAccess",
    "StaffAlert",
    "User",
    "UtilityCall",
    "UtilityVisit",
]
