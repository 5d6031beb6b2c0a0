"""Whose account it is, and where (ESPI 4.0, Retail Customer schema). Personal data: names, addresses, numbers.

Whatever names a person, a place or an account is encrypted; what is left in plain columns tells kinds, states and dates.
`said` holds every element as sent, by the standard's names, and the other columns are read out of it.
"""

from django.db import models

from espi.fields import EncryptedJSONField, EncryptedTextField
from espi.models.authorization import Subscription
from espi.models.exchange import Document


class CustomerResource(models.Model):
    """What every resource of the schema has. Its ids may be account numbers: they are encrypted, and compared in Python."""

    subscription = models.ForeignKey(Subscription, on_delete=models.CASCADE, related_name="+")
    ids = EncryptedJSONField(
        default=dict, editable=False, help_text="Its id under each of the utility's ids for the authorization."
    )
    said = EncryptedJSONField(default=dict, editable=False, help_text="Every element, by the standard's names.")
    said_at = models.JSONField(default=dict, editable=False, help_text="When each of these was said.")
    published_at = models.DateTimeField(null=True, help_text="When it was said last.")
    document = models.ForeignKey(Document, on_delete=models.SET_NULL, null=True, related_name="+")

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self._meta.verbose_name} {self.pk}"


class Customer(CustomerResource):
    """Who holds the accounts; not to be confused with our `retail_customer`, who signs in here."""

    name = EncryptedTextField(blank=True)
    address = EncryptedTextField(blank=True, help_text="Lines of a postal address.")
    kind = models.CharField(max_length=64, blank=True, help_text="CustomerKind: residential ...")
    status = models.CharField(max_length=64, blank=True)


class CustomerAccount(CustomerResource):
    """An account that bills go to."""

    customer = models.ForeignKey(Customer, on_delete=models.SET_NULL, null=True, related_name="accounts")
    account_number = EncryptedTextField(blank=True)
    billing_cycle = models.CharField(max_length=64, blank=True)
    status = models.CharField(max_length=64, blank=True)


class CustomerAgreement(CustomerResource):
    """An agreement for one service; its id is that of the usage point (contracts: PG&E §9.2, UtilityAPI §5.2)."""

    customer_account = models.ForeignKey(
        CustomerAccount, on_delete=models.SET_NULL, null=True, related_name="agreements"
    )
    agreement_number = EncryptedTextField(blank=True, help_text="As customers know it; it changes with the agreement.")
    type = models.CharField(max_length=64, blank=True, help_text="PG&E: RES, AGR, COM/IND or Other.")
    status = models.CharField(max_length=64, blank=True)
    sign_date = models.DateTimeField(null=True)
    currency = models.SmallIntegerField(null=True)
    programs = models.JSONField(
        default=list, help_text="Demand response programmes: {name, status}; unenrolled, enrolled or enrolledPending."
    )


class ServiceSupplier(CustomerResource):
    """Who delivers the energy, or reads the meter."""

    customer_agreement = models.ForeignKey(
        CustomerAgreement, on_delete=models.SET_NULL, null=True, related_name="suppliers"
    )
    name = models.CharField(max_length=255, blank=True)
    kind = models.CharField(max_length=64, blank=True, help_text="SupplierKind: utility, retailer, lse, mdma, msp ...")
    issuer = models.CharField(max_length=255, blank=True, help_text="issuerIdentificationNumber")


class ServiceLocation(CustomerResource):
    """Where a service is delivered."""

    customer_agreement = models.ForeignKey(
        CustomerAgreement, on_delete=models.SET_NULL, null=True, related_name="locations"
    )
    address = EncryptedTextField(blank=True, help_text="Lines of a postal address.")
    outage_block = models.CharField(max_length=32, blank=True)


class EndDevice(CustomerResource):
    """A device at a service location."""

    customer_agreement = models.ForeignKey(
        CustomerAgreement, on_delete=models.SET_NULL, null=True, related_name="end_devices"
    )
    service_location = models.ForeignKey(
        ServiceLocation, on_delete=models.SET_NULL, null=True, related_name="end_devices"
    )
    serial_number = EncryptedTextField(blank=True)
    type = models.CharField(max_length=64, blank=True)


class Meter(CustomerResource):
    """A meter at a service location."""

    customer_agreement = models.ForeignKey(
        CustomerAgreement, on_delete=models.SET_NULL, null=True, related_name="meters"
    )
    service_location = models.ForeignKey(ServiceLocation, on_delete=models.SET_NULL, null=True, related_name="meters")
    serial_number = EncryptedTextField(blank=True)
    type = models.CharField(max_length=64, blank=True)
    form_number = models.CharField(max_length=64, blank=True)
    interval_length = models.IntegerField(null=True, help_text="Seconds.")


class ProgramDateIdMappings(CustomerResource):
    """What a utility calls the dates of its programmes."""

    customer_agreement = models.ForeignKey(
        CustomerAgreement, on_delete=models.SET_NULL, null=True, related_name="program_dates"
    )
    mappings = models.JSONField(default=list, help_text="{programDateType, code, name, note} of each, as sent.")

    class Meta:
        verbose_name_plural = "program date id mappings"


class Statement(CustomerResource):
    """A bill as a document to be fetched; its address is personal and stays in `said`."""

    customer = models.ForeignKey(Customer, on_delete=models.SET_NULL, null=True, related_name="statements")
    issued_at = models.DateTimeField(null=True)
