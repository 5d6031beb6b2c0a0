"""Small documents in the dialects of the utilities, composed from their contracts."""

from datetime import UTC, datetime

ATOM = "http://www.w3.org/2005/Atom"
ESPI = "http://naesb.org/espi"
BASE = "https://utility.example/espi/1_1/resource"
POINT = f"{BASE}/Subscription/976/UsagePoint/U1"
METER = f"{POINT}/MeterReading/M1"
MIDNIGHT = int(datetime(2026, 1, 15, 5, tzinfo=UTC).timestamp())  # in New York

EASTERN = (
    "<dstEndRule>B40E2000</dstEndRule><dstOffset>3600</dstOffset><dstStartRule>360E2000</dstStartRule>"
    "<tzOffset>-18000</tzOffset>"
)


def entry(content, self_href="", up="", related=(), title="", published=""):
    links = [f'<link rel="self" href="{self_href}"/>'] if self_href else []
    links += [f'<link rel="up" href="{up}"/>'] if up else []
    links += [f'<link rel="related" href="{href}"/>' for href in related]
    times = f"<published>{published}</published><updated>{published}</updated>" if published else ""
    return f"<entry>{''.join(links)}<title>{title}</title><content>{content}</content>{times}</entry>"


def espi(name, inner=""):
    return f'<{name} xmlns="{ESPI}">{inner}</{name}>'


def customer(name, inner=""):
    """A resource of the Retail Customer schema."""
    return f'<{name} xmlns="{ESPI}/customer">{inner}</{name}>'


def reading_type(href=f"{BASE}/ReadingType/1", **codes):
    told = {
        "accumulationBehaviour": 4,
        "commodity": 1,
        "flowDirection": 1,
        "kind": 12,
        "powerOfTenMultiplier": 0,
        "uom": 72,
    } | codes
    return entry(espi("ReadingType", "".join(f"<{k}>{v}</{k}>" for k, v in told.items() if v is not None)), href)


def usage_point(href=POINT, kind=0, title=""):
    return entry(espi("UsagePoint", f"<ServiceCategory><kind>{kind}</kind></ServiceCategory>"), href, title=title)


def meter_reading(href=METER, reading_type_href=f"{BASE}/ReadingType/1"):
    return entry(espi("MeterReading"), href, related=[reading_type_href])


def local_time(inner=EASTERN):
    return entry(espi("LocalTimeParameters", inner), f"{BASE}/LocalTimeParameters/1")


def reading(start, value, duration=3600, cost=None, quality=None, tou=None):
    parts = [f"<cost>{cost}</cost>"] if cost is not None else []
    parts += [f"<ReadingQuality><quality>{quality}</quality></ReadingQuality>"] if quality is not None else []
    parts.append(f"<timePeriod><duration>{duration}</duration><start>{start}</start></timePeriod>")
    parts += [f"<value>{value}</value>"] if value is not None else []
    parts += [f"<tou>{tou}</tou>"] if tou is not None else []
    return f"<IntervalReading>{''.join(parts)}</IntervalReading>"


def block(readings, href=METER, published="", name="1"):
    return entry(
        espi("IntervalBlock", "".join(readings)),
        f"{href}/IntervalBlock/{name}",
        up=f"{href}/IntervalBlock",
        published=published,
    )


def bill(start, duration, consumption, *, href=POINT, name="B1", published="", **more):
    """A UsageSummary; `consumption` is (value, multiplier, uom)."""
    value, multiplier, uom = consumption
    measured = f"<powerOfTenMultiplier>{multiplier}</powerOfTenMultiplier><uom>{uom}</uom><value>{value}</value>"
    inner = (
        f"<billingPeriod><duration>{duration}</duration><start>{start}</start></billingPeriod>"
        f"<overallConsumptionLastPeriod>{measured}</overallConsumptionLastPeriod>"
    )
    inner += "".join(f"<{key}>{text}</{key}>" for key, text in more.items())
    return entry(espi("UsageSummary", inner), f"{href}/UsageSummary/{name}", published=published)


def paid_bill(start=MIDNIGHT, duration=30 * 86400, amount=4800000, published="2026-02-16T00:00:00Z", name="B1"):
    """A UsageSummary that tells an amount of money, and no energy."""
    inner = (
        f"<billingPeriod><duration>{duration}</duration><start>{start}</start></billingPeriod>"
        f"<billLastPeriod>{amount}</billLastPeriod><statusTimeStamp>{start + duration}</statusTimeStamp>"
    )
    href = f"{POINT}/UsageSummary/{name}"
    return entry(espi("UsageSummary", inner), href, published=published)


def hours(count, start=MIDNIGHT, published="", href=METER, value=lambda index: 100 + index):
    return block([reading(start + index * 3600, value(index)) for index in range(count)], href, published)


def bare_feed(*entries, updated="2026-02-01T00:00:00Z"):
    told = f"<updated>{updated}</updated>" if updated else ""
    return f'<feed xmlns="{ATOM}">{told}{"".join(entries)}</feed>'.encode()


def feed(*blocks, title="", updated="2026-02-01T00:00:00Z", **codes):
    """A whole document: LocalTimeParameters of New York, one usage point, one meter reading, and these blocks."""
    head = (local_time(), reading_type(**codes), usage_point(title=title), meter_reading())
    return bare_feed(*head, *blocks, updated=updated)


V1_BASE = "https://api.coned.com/gbc/v1/resource/Subscription/976/UsagePoint/4100000001"
V1_BLOCK = f"{V1_BASE}/MeterReading/MR_1/IntervalBlock"


def v1_entry(unit, values, start=MIDNIGHT):
    """An entry of Con Edison V1's interval feed (its contract, 5.2)."""
    readings = "".join(
        f"<espi:intervalReading><espi:timePeriod><espi:duration>900</espi:duration>"
        f"<espi:start>{start + index * 900}</espi:start></espi:timePeriod><espi:value>{value}</espi:value>"
        f"</espi:intervalReading>"
        for index, value in enumerate(values)
    )
    return (
        f'<entry><link rel="up" href="{V1_BLOCK}"/>'
        f'<link rel="self" href="{V1_BLOCK}/SP_4100000001_{unit}%2015%20Minute%20Interval%20Read%20Interval"/>'
        f"<title>Interval Block Data</title><content><espi:intervalBlocks><espi:intervalBlock>"
        f"<espi:interval><espi:duration>86400</espi:duration><espi:start>{start}</espi:start></espi:interval>"
        f"{readings}</espi:intervalBlock></espi:intervalBlocks></content></entry>"
    )


def v1_feed(*entries):
    return f'<feed xmlns="{ATOM}" xmlns:espi="{ESPI}">{"".join(entries)}</feed>'.encode()
