"""The names that resources are made of: ESPI 4.0, 3.3 and 2012, and what the dialects add. Compared in small letters.

What stands outside these shapes is kept like the rest, and counted for staff: it tells where a utility's documents have
left what we know of them. Sources: espi.xsd and customer.xsd of 4.0, PG&E's of 2018, espi.xsd of 2012, the contracts.
"""

from collections.abc import Mapping
from typing import Any

Shape = Mapping[str, Any]  # a name in small letters -> the shape of what is in it

NOTHING: Shape = {}
ANYTHING: Shape = {"": NOTHING}  # `extension` holds whatever a utility likes


def shape(names: str = "", **inner: Shape) -> Shape:
    """An object of the standard: plain fields by their names, further objects by theirs; any may carry `extension`."""
    plain = dict.fromkeys(names.lower().split(), NOTHING)
    return plain | {name.lower(): each for name, each in inner.items()} | {"extension": ANYTHING}


def resource(names: str = "", **inner: Shape) -> Shape:
    """The same as a resource of its own (IdentifiedObject)."""
    return shape(names, batchItemInfo=shape("name operation statusCode statusReason"), **inner)


# --- http://naesb.org/espi ---

PERIOD = shape("duration start")
MEASUREMENT = shape("powerOfTenMultiplier timeStamp uom value readingTypeRef")
RATIO = shape("numerator denominator")
RIDER = shape("riderType enrollmentStatus effectiveDate")
RIDERS = shape(tariffRiderRef=RIDER, **RIDER)  # PG&E's schema has the riders without a list around them
PRICE_NODE = shape("apnodeType ref startEffectiveDate endEffectiveDate")

METER_READING = resource()
USAGE_POINT = resource(
    "roleFlags status amiBillingReady checkBilling connectionState grounded isSdp isVirtual minimalUsageExpected "
    "outageRegion phaseCode readCycle readRoute serviceDeliveryRemark servicePriority",
    ServiceCategory=shape("kind"),
    serviceDeliveryPoint=shape("name tariffProfile customerAgreement", tariffRiderRefs=RIDERS),
    estimatedLoad=MEASUREMENT,
    nominalServiceVoltage=MEASUREMENT,
    ratedCurrent=MEASUREMENT,
    ratedPower=MEASUREMENT,
    pnodeRefs=shape(pnodeRef=PRICE_NODE),
    aggregateNodeRefs=shape(
        aggregateNodeRef=shape("anodeType ref startEffectiveDate endEffectiveDate", pnodeRef=PRICE_NODE)
    ),
)
READING_TYPE = resource(
    "accumulationBehaviour commodity consumptionTier currency dataQualifier defaultQuality flowDirection intervalLength "
    "kind phase powerOfTenMultiplier timeAttribute tou uom cpp measuringPeriod",
    interharmonic=RATIO,
    argument=RATIO,
)
LINE_ITEM = shape("amount rounding dateTime note itemKind unitCost", measurement=MEASUREMENT, itemPeriod=PERIOD)
USAGE_SUMMARY = resource(
    "billLastPeriod billToDate costAdditionalLastPeriod currency qualityOfReading statusTimeStamp commodity tariffProfile "
    # Con Edison V1 (its contract, 5.3)
    "readCycle electricConsumption electricBilledAmount serviceClass ICAPtag",
    billingPeriod=PERIOD,
    costAdditionalDetailLastPeriod=LINE_ITEM,
    overallConsumptionLastPeriod=MEASUREMENT,
    currentBillingPeriodOverAllConsumption=MEASUREMENT,
    currentDayLastYearNetConsumption=MEASUREMENT,
    currentDayNetConsumption=MEASUREMENT,
    currentDayOverallConsumption=MEASUREMENT,
    peakDemand=MEASUREMENT,
    previousDayLastYearOverallConsumption=MEASUREMENT,
    previousDayNetConsumption=MEASUREMENT,
    previousDayOverallConsumption=MEASUREMENT,
    ratchetDemand=MEASUREMENT,
    ratchetDemandPeriod=PERIOD,
    tariffRiderRefs=RIDERS,
    billingChargeSource=shape("agencyName"),
)
QUALITY_SUMMARY = resource(
    "flickerPlt flickerPst harmonicVoltage longInterruptions mainsVoltage measurementProtocol powerFrequency "
    "rapidVoltageChanges shortInterruptions supplyVoltageDips supplyVoltageImbalance supplyVoltageVariations "
    "tempOvervoltage",
    summaryInterval=PERIOD,
)
LOCAL_TIME = resource("dstEndRule dstOffset dstStartRule tzOffset name")
PROGRAM_IDS = resource(programIdMapping=shape("tOUorCPPorConsumptionTier code name note"))
SERVICE_STATUS = shape("currentStatus")
BATCH_LIST = shape("resources")
AUTHORIZATION = resource(
    "status expires_at grant_type scope token_type error error_description error_uri resourceURI authorizationURI "
    "customerResourceURI accessToken authorizationServer resource thirdParty",  # the last four: 2012
    authorizedPeriod=PERIOD,
    publishedPeriod=PERIOD,
)
APPLICATION_INFORMATION = resource(
    "dataCustodianId dataCustodianApplicationStatus thirdPartyApplicationDescription thirdPartyApplicationStatus "
    "thirdPartyApplicationType thirdPartyApplicationUse thirdPartyPhone authorizationServerUri thirdPartyNotifyUri "
    "authorizationServerAuthorizationEndpoint authorizationServerRegistrationEndpoint authorizationServerTokenEndpoint "
    "dataCustodianBulkRequestURI dataCustodianResourceEndpoint thirdPartyScopeSelectionScreenURI "
    "thirdPartyUserPortalScreenURI client_secret logo_uri client_name client_uri redirect_uri client_id tos_uri "
    "policy_uri software_id software_version client_id_issued_at client_secret_expires_at contacts "
    "token_endpoint_auth_method scope grant_types response_types registration_client_uri registration_access_token "
    "dataCustodianScopeSelectionScreenURI "
    # 2012
    "dataCustodianDefaultBatchResource dataCustodianDefaultSubscriptionResource dataCustodianThirdPartyId "
    "dataCustodianThirdPartySecret thirdPartyApplicationLogo thirdPartyApplicationName thirdPartyApplicationWebsite "
    "thirdPartyDefaultBatchResource thirdPartyDefaultNotifyResource thirdPartyDefaultOAuthCallback thirdPartyEmail "
    "thirdPartyName"
)

# --- http://naesb.org/espi/customer ---

STATUS = shape("value dateTime remark reason")
ADDRESS = shape(
    "postalCode poBox cityDetail stateDetail",  # Con Edison V1 has the parts as plain texts (its contract, 5.4)
    streetDetail=shape(
        "number name suffix prefix type code buildingName suiteNumber addressGeneral addressGeneral2 addressGeneral3 "
        "withinTownLimits"
    ),
    townDetail=shape("code section name county stateOrProvince country"),
    status=STATUS,
)
TELEPHONE = shape("countryCode areaCode cityCode localNumber ext dialOut internationalPrefix ituPhone")
ELECTRONIC = shape("lan mac email1 email2 web radio userID password")
ORGANISATION = resource(
    "name organisationName",
    streetAddress=ADDRESS,
    postalAddress=ADDRESS,
    phone1=TELEPHONE,
    phone2=TELEPHONE,
    electronicAddress=ELECTRONIC,
)
_DOCUMENT: dict[str, Any] = {
    **resource(
        "name type authorName createdDateTime lastModifiedDateTime revisionNumber subject title comment",
        electronicAddress=ELECTRONIC,
        docStatus=STATUS,
        status=STATUS,
    )
}
_LOCATION: dict[str, Any] = {
    **resource(
        "name type geoInfoReference direction",
        mainAddress=ADDRESS,
        secondaryAddress=ADDRESS,
        phone1=TELEPHONE,
        phone2=TELEPHONE,
        electronicAddress=ELECTRONIC,
        status=STATUS,
        positionPoints=shape("xPosition yPosition zPosition"),
    )
}
CUSTOMER = resource(
    "name kind specialNeed vip pucNumber locale customerName",
    Organisation=ORGANISATION,
    status=STATUS,
    priority=shape("rank type justification"),
    mainAddress=ADDRESS,
)
CUSTOMER_ACCOUNT: Shape = _DOCUMENT | {
    **resource(
        "billingCycle budgetBill lastBillAmount accountId accountNumber",
        notifications=shape("methodKind time note customerNotificationKind"),
        contactInfo=ORGANISATION,
    )
}
CUSTOMER_AGREEMENT: Shape = _DOCUMENT | {
    **resource(
        "signDate loadMgmt isPrePay shutOffDateTime PricingStructures currency agreementId",
        validityInterval=PERIOD,
        futureStatus=STATUS,
        DemandResponseProgram=shape(
            "programName enrollmentStatus programDescription",
            programDate=shape("programDate programDateDescription"),
            capacityReservationLevel=MEASUREMENT,
            DRProgramNomination=MEASUREMENT,
        ),
    )
}
SERVICE_LOCATION: Shape = _LOCATION | {
    **resource("accessMethod siteAccessProblem needsInspection outageBlock", UsagePoints=shape("UsagePoint"))
}
SERVICE_SUPPLIER = resource("name kind issuerIdentificationNumber effectiveDate", Organisation=ORGANISATION)
END_DEVICE = resource(
    "name type utcNumber serialNumber lotNumber purchasePrice critical initialCondition initialLossOfLife isVirtual isPan "
    "installCode amrSystem",
    electronicAddress=ELECTRONIC,
    lifecycle=shape("manufacturedDate purchaseDate receivedDate installationDate removalDate retiredDate"),
    acceptanceTest=shape("type success dateTime"),
    status=STATUS,
)
METER: Shape = {**END_DEVICE, **shape("formNumber intervalLength", MeterMultipliers=shape("kind value"))}
PROGRAM_DATES = resource("name", programDateIdMapping=shape("programDateType code name note"))
STATEMENT = resource("name issueDateTime", statementRef=shape("fileName mediaType statementURL"))
