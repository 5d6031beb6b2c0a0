"""What Con Edison's documents fix: hosts, paths, scope strings, lifetimes. Instants and lengths in seconds.

Sources: the third-party technical onboarding document (edition V1, and version 4.4 for V2), the published Swagger and
Postman files of "DCX GBC API V2".
"""

from dataclasses import dataclass

ZONE = "America/New_York"
UTILITIES = {"cecony": "Con Edison", "oru": "Orange & Rockland"}
WEB_HOSTS = {
    "www.coned.com": "cecony",
    "uat10-core.coned.com": "cecony",
    "uat10.coned.com": "cecony",
    "www.oru.com": "oru",
    "uat10-core.oru.com": "oru",
    "uat10.oru.com": "oru",
}
API_HOSTS = frozenset(("api.coned.com", "apit.coned.com"))
TEST_HOSTS = frozenset(host for host in (*WEB_HOSTS, *API_HOSTS) if host.startswith(("uat10", "apit")))
V1, V2 = "/gbc/v1", "/gbc/espi/1_1"
CONNECTIONS = "/accounts-billing/dashboard/billing-and-usage/share-my-data-connections"

CODE_LIFETIME = 60
TOKEN_LIFETIME = 3600
REFRESH_UNUSED = 365 * 86400  # a refresh token dies when it was not used for a year
INACTIVITY = {"v1": 45 * 86400, "v2": 365 * 86400}  # FAQ page; document 4.4
ONE_TIME = 86400
BATCH_LIFETIME = 48 * 3600
BATCH_FILE = {"v1": 25_000_000, "v2": 200_000_000}
TOKEN_CALLS_PER_MINUTE = 50
REAL_TIME_LATENCY = 45 * 60
LONGEST_V1_WINDOW = 22  # days; longer requests of interval data failed for integrators

_V1_TAIL = "IntervalDuration=Monthly_3600_900_300;BlockDuration=Monthly_Daily;HistoryLength=63113904;"
CONSUMPTION = "FB=1_3_4_5_7_10_13_14_18_32_33_35_37_38_41_44;" + _V1_TAIL
BILLING = (
    "FB=1_3_6_10_13_14_15_16_28_32_33_35_37_38_41_44;"
    "IntervalDuration=Monthly;BlockDuration=Monthly;HistoryLength=63113904;"
)
REAL_TIME = (
    "FB=1_3_4_5_7_13_14_18_32_33_35_37_38_41_44;IntervalDuration=900_300;BlockDuration=Daily;HistoryLength=86400;"
)
RETAIL_CUSTOMER = "FB=1_3_13_14_46_47;"
V1_SCOPES = (REAL_TIME, CONSUMPTION, BILLING, RETAIL_CUSTOMER)  # the platform's own order in its answers
V1_CLIENT_SCOPE = "FB=3_35_47"
V2_CLIENT_SCOPE = "FB=34_35"

V2_BLOCKS = frozenset(("1", "3", "4", "5", "7", "8", "10", "15", "16", "35", "51", "53", "56", "57", "58", "60", "67"))
V2_CHOICES = {
    "5": "Electricity use",
    "7": "Net electricity use",
    "8": "Electricity delivered and received",
    "10": "Gas use",
    "15": "Bills",
    "16": "What the bills cost",
    "56": "Your billing account",
    "57": "Your account and agreements",
    "58": "Where the service is",
    "60": "Your meters",
}
INTERVAL_CHOICES = frozenset(("5", "7", "8", "10"))
BILL_CHOICES = frozenset(("15", "16"))
CUSTOMER_CHOICES = frozenset(("56", "57", "58", "60"))
DURATIONS = {
    "IntervalDuration": frozenset(("Monthly", "3600", "900", "300")),
    "BlockDuration": frozenset(("Monthly", "Daily")),
}
LONGEST_HISTORY = 63_072_000


@dataclass(frozen=True)
class V2Scope:
    """A V2 scope string taken apart: the blocks in their order, and the terms after them but BR."""

    blocks: tuple[str, ...]
    tail: tuple[tuple[str, str], ...]
    third_party: str | None

    def text(self) -> str:
        """The string again."""
        parts = [("FB", "_".join(self.blocks)), *self.tail, *([("BR", self.third_party)] if self.third_party else [])]
        return ";".join(f"{name}={value}" for name, value in parts)

    def kept(self, choices: set[str]) -> "V2Scope":
        """What is left when the customer keeps only these choices; mandatory blocks stay with what needs them."""
        keep = set(choices)
        if choices & INTERVAL_CHOICES or "4" in choices:
            keep |= {"1", "3", "4"}
        if choices & BILL_CHOICES:
            keep |= {"1", "3", "15"}
        if choices & CUSTOMER_CHOICES or "53" in choices:
            keep |= {"51", "53"}
        blocks = tuple(block for block in self.blocks if block in keep or (block in ("35", "67") and keep))
        usage = any(int(block) < 50 for block in blocks)
        return V2Scope(blocks, self.tail if usage else (), self.third_party)


def v2_choices(scope: V2Scope) -> dict[str, str]:
    """What a customer can leave out of a requested scope: {block: words}."""
    choices = {block: V2_CHOICES[block] for block in scope.blocks if block in V2_CHOICES}
    if "4" in scope.blocks and not INTERVAL_CHOICES & set(choices):
        choices["4"] = "Interval readings"
    if "53" in scope.blocks and not CUSTOMER_CHOICES & set(choices):
        choices["53"] = "Who the customer is"
    return choices


def v1_scopes(value: str) -> list[str]:
    """The strings of a V1 scope parameter. Raises ValueError unless it is one to four of the closed list, each once."""
    strings = value.split("|")
    unknown = [string for string in strings if string not in V1_SCOPES]
    if unknown or len(set(strings)) != len(strings):
        raise ValueError("The scope holds a string that is not on the list, or one of them twice.")
    return strings


def v2_scope(value: str, third_party: str) -> V2Scope:
    """A requested V2 scope taken apart. Raises ValueError, saying why, when the platform would not take it."""
    scope = parse_v2(value)
    if scope.third_party != third_party:
        raise ValueError("BR is not the ApplicationInformation id of this third party.")
    blocks = set(scope.blocks)
    usage = {block for block in blocks if int(block) < 50}
    if usage and not usage >= {"1", "3"}:
        raise ValueError("Usage needs the blocks 1 and 3.")
    if blocks & INTERVAL_CHOICES and "4" not in blocks:
        raise ValueError("Interval readings need block 4.")
    if blocks - usage and not blocks >= {"51", "53"}:
        raise ValueError("Customer data need the blocks 51 and 53.")
    if not v2_choices(scope):
        raise ValueError("The scope asks for nothing.")
    names = [name for name, _ in scope.tail]
    if names != (["IntervalDuration", "BlockDuration", "HistoryLength"] if usage else []):
        raise ValueError("IntervalDuration, BlockDuration and HistoryLength go with usage, in this order.")
    return scope


def parse_v2(value: str) -> V2Scope:
    """Take a V2 scope string apart, with or without what follows FB. Raises ValueError when it is malformed."""
    pairs = [term.partition("=")[::2] for term in value.split(";")]
    names = [name for name, _ in pairs]
    if names[0] != "FB" or len(set(names)) != len(names) or not set(names) <= {"FB", "HistoryLength", "BR", *DURATIONS}:
        raise ValueError(
            "The scope is not of the form FB=...;IntervalDuration=...;BlockDuration=...;HistoryLength=...;BR=..."
        )
    terms = dict(pairs)
    blocks = terms["FB"].split("_")
    if len(set(blocks)) != len(blocks) or not set(blocks) <= V2_BLOCKS:
        raise ValueError("FB lists a block that is unknown, or one of them twice.")
    for name, allowed in DURATIONS.items():
        if name in terms and not set(terms[name].split("_")) <= allowed:
            raise ValueError(f"{name} has a value that is not offered.")
    length = terms.get("HistoryLength", "1")
    if not (length.isascii() and length.isdigit() and 0 < int(length) <= LONGEST_HISTORY):
        raise ValueError("HistoryLength is at most 63072000 seconds.")
    tail = tuple((name, terms[name]) for name in names if name not in ("FB", "BR"))
    return V2Scope(tuple(blocks), tail, terms.get("BR"))


def environment(host: str) -> str:
    """Which of the utility's environments a host belongs to."""
    return "test" if host in TEST_HOSTS else "production"
