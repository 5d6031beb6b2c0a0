"""The standard's nouns as rows; `exchange` holds how they came here."""

from espi.models.authorization import ApplicationInformation, Authorization, AuthorizationRequest, Subscription
from espi.models.exchange import Document, DocumentPart, FetchJob, Notification
from espi.models.identity import MeterSpan, ServicePlace, Succession, UsagePointAlias
from espi.models.usage import (
    ElectricPowerQualitySummary,
    IntervalBlock,
    IntervalReading,
    IntervalRevision,
    LocalTimeParameters,
    MeterReading,
    MeterReadingAlias,
    ProgramIdMapping,
    ReadingType,
    UsagePoint,
    UsageSummary,
)

__all__ = [
    "ApplicationInformation",
    "Authorization",
    "AuthorizationRequest",
    "Document",
    "DocumentPart",
    "ElectricPowerQualitySummary",
    "FetchJob",
    "IntervalBlock",
    "IntervalReading",
    "IntervalRevision",
    "LocalTimeParameters",
    "MeterReading",
    "MeterReadingAlias",
    "MeterSpan",
    "Notification",
    "ProgramIdMapping",
    "ReadingType",
    "ServicePlace",
    "Subscription",
    "Succession",
    "UsagePoint",
    "UsagePointAlias",
    "UsageSummary",
]
