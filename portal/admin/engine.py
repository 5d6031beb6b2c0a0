"""How the work stands: circuits, plans, gaps, alerts, heartbeats."""

from django.contrib import admin

from portal.admin.base import ReadOnly, since
from portal.models import Circuit, DataGap, FetchPlan, Heartbeat, StaffAlert


@admin.register(Circuit)
class CircuitAdmin(ReadOnly):
    """Whether each utility is called, and if not, why. Saving new credentials closes one."""

    list_display = ("application_information", "opened_at", "cause", "reason", "probe_at", "outcomes")
    list_select_related = ("application_information",)


@admin.register(FetchPlan)
class FetchPlanAdmin(ReadOnly):
    """What is asked for again and again, when next, and how far it is complete."""

    owner = "authorization__retail_customer"
    is_work = True
    list_display = ("authorization", "part", "next_at", "asked_to", "answered_at", "complete_to")
    list_filter = ("part", "application_information")
    list_select_related = ("authorization__application_information", "application_information")


@admin.register(DataGap)
class DataGapAdmin(ReadOnly):
    """Days without readings between others, and how often they were asked for again."""

    owner = "meter_reading__usage_point__subscription__retail_customer"
    is_work = True
    list_display = ("meter_reading", "first_day", "last_day", "times_asked", "asked_at", "filled_at")


@admin.register(StaffAlert)
class StaffAlertAdmin(ReadOnly):
    """What staff must look at, or had to."""

    list_display = ("subject", "opened_at", "closed_at", "mailed_at")
    list_filter = ("application_information", since("opened_at"))


@admin.register(Heartbeat)
class HeartbeatAdmin(ReadOnly):
    """Workers and the scheduler, and when each last showed that it is alive."""

    list_display = ("name", "at")
