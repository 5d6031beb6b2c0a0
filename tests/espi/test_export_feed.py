"""What is stored goes out as Green Button XML that is valid, leads where it says, and comes back as it was."""

from datetime import date
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from espi import ingest, zones
from portal.models import User
from tests.espi import documents, samples
from tests.espi.documents import BASE, MIDNIGHT, POINT, bare_feed, block, espi, reading
from tests.espi.exported import assert_it_comes_back, bill, store
from tests.examples import cases

pytestmark = pytest.mark.django_db
# --- Every sample ------------------------------------------------------------------------------------------------------

USABLE = [sample.path for sample in samples.stated() if sample.counts and sample.counts[0]] + samples.pge_files()


@pytest.mark.parametrize("path", USABLE, ids=lambda path: path.name)
def test_d15_every_sample_goes_out_valid_and_comes_back_the_same(path):
    try:
        store(path.read_bytes())
    except ingest.DocumentRefused:
        pytest.skip("nothing of it is stored")
    assert_it_comes_back()


# --- Anything at all ---------------------------------------------------------------------------------------------------

ZONES = [
    "America/New_York",
    "America/Los_Angeles",
    "America/Toronto",
    "America/Phoenix",
    "America/St_Johns",
    "Europe/Dublin",
]
DAYS = [date(2025, 3, 8), date(2025, 3, 9), date(2025, 7, 1), date(2025, 11, 1), date(2025, 11, 2)]
amounts = st.one_of(st.integers(-(2**27), 2**27), st.integers(0, 5000), st.decimals("-99999", "99999", places=3))
codes = st.one_of(st.none(), st.integers(0, 30))
small = st.one_of(st.none(), st.integers(-3, 9))
published = st.sampled_from(["2026-01-01T00:00:00Z", "2026-01-02T10:11:12.123456Z", "2026-03-01T00:00:00+01:00"])


def one_reading(draw, start, duration):
    text = reading(
        start,
        draw(amounts),
        duration,
        cost=draw(st.one_of(st.none(), st.integers(-(10**9), 10**9))),
        quality=draw(st.sampled_from([None, 0, 8, 17, 19, 700])),
        tou=draw(small),
    )
    more = [f"<{name}>{code}</{name}>" for name in ("consumptionTier", "cpp") if (code := draw(small)) is not None]
    return text.replace("</IntervalReading>", "".join(more) + "</IntervalReading>")


@st.composite
def blocks(draw, href, zone):
    """A few hours of a grid, perhaps with gaps, and perhaps readings off every grid."""
    day = draw(st.sampled_from(DAYS))
    step = draw(st.sampled_from([300, 900, 3600, 7200, 86400, 5000]))
    first = zones.day_start(day, ZoneInfo(zone)) + step * draw(st.integers(0, 30))
    count = draw(st.integers(1, 12))
    kept = draw(st.lists(st.booleans(), min_size=count, max_size=count))
    grid = [one_reading(draw, first + index * step, step) for index, keep in enumerate(kept) if keep or index == 0]
    odd = [
        one_reading(
            draw, first + draw(st.integers(-90_000, 90_000)), draw(st.sampled_from([0, 1, 60, 7200, 90_000, 2_678_400]))
        )
        for _ in range(draw(st.integers(0, 3)))
    ]
    return block([*grid, *odd], href, draw(published), name=str(draw(st.integers(0, 10**9))))


words = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=300)
plain_names = st.sampled_from(
    ["note", "amount", "rate", "itemKind", "unitCost", "extension", "measurement", "readCycle"]
)
scalars = st.one_of(st.integers(-(2**62), 2**62), words)


def xml(name, value):
    if isinstance(value, dict):
        return f"<{name}>{''.join(xml(inner, each) for inner, each in value.items())}</{name}>"
    if isinstance(value, list):
        return "".join(xml(name, each) for each in value)
    escaped = str(value).replace("&", "&amp;").replace("<", "&lt;").replace("\x85", "")
    return f"<{name}>{escaped}</{name}>"


objects = st.recursive(
    scalars, lambda inner: st.dictionaries(plain_names, st.one_of(inner, st.lists(inner, max_size=3)), max_size=4)
)


@st.composite
def bills(draw, number):
    start = MIDNIGHT + number * 40 * 86400
    said = {
        "billingPeriod": {"duration": draw(st.integers(1, 40 * 86400)), "start": start},
        "billLastPeriod": draw(st.integers(-(2**46), 2**46)),
        "billToDate": draw(st.integers(-(2**62), 2**62)),
        "costAdditionalDetailLastPeriod": draw(st.lists(objects, max_size=3)),
        "currency": draw(st.sampled_from([840, 124, 5])),
        "overallConsumptionLastPeriod": {
            "powerOfTenMultiplier": draw(st.integers(-6, 6)),
            "timeStamp": draw(scalars),
            "uom": draw(st.sampled_from([72, 169, 42])),
            "value": draw(st.integers(-(2**60), 2**60)),
        },
        "qualityOfReading": draw(codes),
        "statusTimeStamp": draw(st.sampled_from([MIDNIGHT, "2026-01-15T10:00:00.25Z", "soon"])),
        "commodity": draw(codes),
        "tariffProfile": draw(words),
        "readCycle": draw(words),
        "peakDemand": draw(objects),
        "ourOwnIdea": draw(objects),
    }
    kept = {name: value for name, value in said.items() if name == "billingPeriod" or draw(st.booleans())}
    return bill("".join(xml(name, value) for name, value in kept.items() if value is not None), str(number))


@st.composite
def usage_points(draw):
    said = {
        "roleFlags": draw(st.sampled_from(["10", "00ff", "x"])),
        "ServiceCategory": {"kind": draw(st.integers(0, 2))},
        "status": draw(st.sampled_from([0, 1, 300, "on"])),
        "serviceDeliveryPoint": {"tariffProfile": draw(words), "name": draw(words), "ourOwnIdea": draw(objects)},
        "amiBillingReady": draw(st.sampled_from(["operable", "perhaps"])),
        "checkBilling": draw(st.sampled_from(["true", 0, "maybe"])),
        "estimatedLoad": {"powerOfTenMultiplier": 3, "uom": 38, "value": draw(scalars)},
        "phaseCode": draw(codes),
        "readCycle": draw(words),
        "ourOwnIdea": draw(objects),
    }
    kept = {name: value for name, value in said.items() if name == "ServiceCategory" or draw(st.booleans())}
    return espi("UsagePoint", "".join(xml(name, value) for name, value in kept.items() if value is not None))


@st.composite
def qualities(draw, number):
    interval = {"duration": draw(st.integers(0, 86400)), "start": MIDNIGHT + number * 86400}
    said = {
        "flickerPlt": draw(scalars),
        "mainsVoltage": draw(st.integers(-(2**50), 2**50)),
        "measurementProtocol": draw(st.integers(0, 300)),
        "summaryInterval": interval,
        "tempOvervoltage": draw(st.integers(0, 9)),
        "ourOwnIdea": draw(objects),
    }
    kept = {name: value for name, value in said.items() if name == "summaryInterval" or draw(st.booleans())}
    inner = "".join(xml(name, value) for name, value in kept.items())
    href = f"{POINT}/ElectricPowerQualitySummary/{number}"
    return documents.entry(espi("ElectricPowerQualitySummary", inner), href, published=draw(published))


@st.composite
def programs(draw):
    said = {
        "tOUorCPPorConsumptionTier": draw(st.sampled_from(["tou", "cpp", "consumptiontier"])),
        "code": draw(st.integers(0, 9)),
        "name": draw(words)[:250],
        "note": draw(words)[:250],
    }
    inner = xml("programIdMapping", said)
    return documents.entry(espi("ProgramIdMappings", inner), f"{BASE}/ProgramIdMappings/1", published=draw(published))


@st.composite
def reading_types(draw, multiplier):
    return {
        "accumulationBehaviour": draw(st.sampled_from([None, 0, 1, 3, 4, 12])),
        "commodity": draw(codes),
        "flowDirection": draw(st.sampled_from([None, 1, 4, 19, -7])),
        "kind": draw(st.sampled_from([None, 8, 12, 37])),
        "powerOfTenMultiplier": multiplier,
        "uom": draw(st.sampled_from([72, 38, 169, 119, 0])),
        "tou": draw(small),
        "cpp": draw(small),
        "consumptionTier": draw(small),
        "defaultQuality": draw(st.sampled_from([None, 17])),
        "dataQualifier": draw(st.sampled_from([None, 12])),
        "currency": draw(st.sampled_from([None, 840, 124])),
        "intervalLength": draw(st.sampled_from([None, 900, 3600])),
        "phase": draw(st.sampled_from([None, 769])),
        "measuringPeriod": draw(st.sampled_from([None, 7])),
        "timeAttribute": draw(st.sampled_from([None, 0, 24])),
        "argument": draw(
            st.sampled_from([None, "<numerator>1</numerator><denominator>3</denominator>", "<numerator/>"])
        ),
        "ourOwnIdea": draw(st.sampled_from([None, 5, "<deep>x</deep>"])),
    }


@st.composite
def channels(draw, point, number, zone, told):
    href, kind = f"{point}/MeterReading/{number}", f"{BASE}/ReadingType/{point[-1]}{number}"
    own = draw(st.lists(blocks(href, zone), min_size=1, max_size=3))
    return [documents.reading_type(kind, **told), documents.meter_reading(href, kind), *own]


@st.composite
def histories(draw):
    """Documents of one or two usage points, each with its zone; their channels may be of one kind."""
    found = []
    for number in range(draw(st.integers(1, 2))):
        zone, href = draw(st.sampled_from(ZONES)), f"{BASE}/Subscription/9/UsagePoint/U{number}"
        point = documents.entry(
            draw(usage_points()), href, title=xml("x", draw(words))[3:-4], published=draw(published)
        )
        kinds = draw(st.lists(reading_types(draw(st.integers(-9, 6))), min_size=1, max_size=2))
        count = draw(st.integers(1, 3))
        inner = [each for n in range(count) for each in draw(channels(href, n, zone, draw(st.sampled_from(kinds))))]
        told = [draw(bills(n)).replace(POINT, href) for n in range(draw(st.integers(0, 2)))]
        told += [draw(qualities(n)).replace(POINT, href) for n in range(draw(st.integers(0, 2)))]
        found.append((zone, bare_feed(point, *inner, *told, *draw(st.lists(programs(), max_size=2)))))
    return found


@settings(
    max_examples=cases(8),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(histories())
def test_d15_whatever_was_imported_goes_out_valid_and_comes_back_the_same(history):
    User.objects.filter(email__endswith="@example.com").delete()
    for zone, content in history:
        store(content, time_zone=zone)
    assert_it_comes_back(twice=True)
