"""The standard's nouns as rows; `exchange` holds how they came here."""

from espi.models.authorization import ApplicationInformation, Authorization, AuthorizationRequest, Subscription
from espi.models.customer import (
    Customer,
    CustomerAccount,
    CustomerAgreement,
    EndDevice,
    Meter,
    ProgramDateIdMappings,
    ServiceLocation,
    ServiceSupplier,
    Statement,
)
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
    "Customer",
    "CustomerAccount",
    "CustomerAgreement",
    "Document",
    "DocumentPart",
    "ElectricPowerQualitySummary",
    "EndDevice",
    "FetchJob",
    "IntervalBlock",
    "IntervalReading",
    "IntervalRevision",
    "LocalTimeParameters",
    "Meter",
    "MeterReading",
    "MeterReadingAlias",
    "MeterSpan",
    "Notification",
    "ProgramDateIdMappings",
    "ProgramIdMapping",
    "ReadingType",
    "ServiceLocation",
    "ServicePlace",
    "ServiceSupplier",
    "Statement",
    "Subscription",
    "Succession",
    "UsagePoint",
    "UsagePointAlias",
    "UsageSummary",
]
