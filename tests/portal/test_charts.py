"""Readings to pictures: pure geometry."""

from decimal import Decimal

import pytest
from django.utils import translation
from django.utils.formats import number_format
from hypothesis import given
from hypothesis import strategies as st

from portal import charts, writing
from portal.charts import Slot, Value

HOUR = 3600
KWH = charts.unit_of(72)


def hours(*amounts, received=()):
    """A day of one-hour slots; None is a gap."""
    sent = [*received, *[None] * (len(amounts) - len(received))]
    return [
        Slot(
            start=number * HOUR,
            end=(number + 1) * HOUR,
            label=f"hour {number}",
            short_label=str(number),
            delivered=None if amount is None else Value(Decimal(amount)),
            received=None if sent[number] is None else Value(Decimal(sent[number])),
            absent=charts.GAP if amount is None else "",
        )
        for number, amount in enumerate(amounts)
    ]


def test_bars_stand_on_the_zero_line_and_grow_with_the_amount():
    chart = charts.draw(hours("1", "2", "4"), KWH, (0, 3 * HOUR))
    zero = next(tick.y for tick in chart.ticks if tick.is_zero)
    assert [bar.y + bar.height for bar in chart.bars] == [zero] * 3
    low, middle, high = [bar.height for bar in chart.bars]
    assert (middle, high) == (2 * low, 4 * low)


def test_received_energy_hangs_below_the_zero_line_and_is_never_added():
    chart = charts.draw(hours("3", received=("2",)), KWH, (0, HOUR))
    zero = next(tick.y for tick in chart.ticks if tick.is_zero)
    up, down = chart.bars
    assert (up.kind, up.y + up.height) == ("delivered", zero)
    assert (down.kind, down.y) == ("received", zero)
    assert [place.title for place in chart.places] == ["hour 0: 3 kWh; 2 kWh received"]
    assert abs(up.height / 3 - down.height / 2) < 1  # whole pixels


def test_a_zero_is_a_thin_bar_and_a_gap_is_a_gap():
    chart = charts.draw(hours("0", None), KWH, (0, 2 * HOUR))
    zero, gap = chart.bars
    assert (zero.kind, zero.height) == ("delivered", 1)
    assert (gap.kind, gap.height) == ("gap", charts.PLOT_HEIGHT)
    assert chart.places[1].title == "hour 1: no reading"


def test_time_that_is_not_here_yet_is_not_drawn():
    slots = [Slot(0, HOUR, "now", delivered=Value(Decimal(1))), Slot(HOUR, 2 * HOUR, "later", absent=charts.AFTER)]
    assert [bar.kind for bar in charts.draw(slots, KWH, (0, 2 * HOUR)).bars] == ["delivered"]


def test_a_bar_takes_the_share_of_the_width_that_its_time_takes_of_the_day():
    (bar,) = charts.draw(hours("1"), KWH, (0, 25 * HOUR)).bars
    assert Decimal(bar.width.rstrip("%")) == (Decimal(4) * Decimal("0.76")).quantize(Decimal("0.001"))


def test_estimated_and_revised_values_are_told_apart_and_explained():
    slots = [Slot(0, HOUR, "first", delivered=Value(Decimal(5), estimated=True, revised=True))]
    chart = charts.draw(slots, KWH, (0, HOUR))
    (bar,) = chart.bars
    assert bar.kind == "delivered-estimated"
    assert bar.mark_y < bar.y
    assert chart.places[0].title == "first: 5 kWh, estimated, revised"
    assert chart.kinds == {"delivered-estimated", "revised"}


def test_the_axis_has_round_numbers_that_hold_every_bar():
    chart = charts.draw(hours("0.7", "13.2"), KWH, (0, 2 * HOUR))
    assert [tick.text for tick in chart.ticks] == ["0", "5", "10", "15"]


def test_net_readings_below_zero_are_drawn_below_zero():
    chart = charts.draw(hours("-2", "1"), KWH, (0, 2 * HOUR))
    zero = next(tick.y for tick in chart.ticks if tick.is_zero)
    assert chart.bars[0].y == zero
    assert next(tick.text for tick in chart.ticks) == "-2"


def test_below_zero_the_axis_counts_the_energy_received():
    chart = charts.draw(hours("4", received=("4",)), KWH, (0, HOUR))
    assert [tick.text for tick in chart.ticks] == ["4", "2", "0", "2", "4"]


def test_the_clock_stands_under_the_axis_at_its_own_moment():
    chart = charts.draw(hours("1"), KWH, (0, 24 * HOUR), [(0, "00:00"), (6 * HOUR, "06:00")])
    assert [(label.x, label.text) for label in chart.labels] == [("0%", "00:00"), ("25%", "06:00")]


def test_numbers_of_a_column_are_written_alike():
    amounts = [Decimal("0.17"), Decimal("0.1725"), Decimal(3)]
    places = writing.places_of(amounts)
    assert [writing.number(amount, places) for amount in amounts] == ["0.170", "0.173", "3.000"]


def test_labels_are_thinned_out_and_every_second_gives_way_on_narrow_screens():
    chart = charts.draw(hours(*["1"] * 24), KWH, (0, 24 * HOUR))
    assert [label.text for label in chart.labels] == [str(number) for number in range(0, 24, 2)]
    assert [label.minor for label in chart.labels][:4] == [False, True, False, True]


@pytest.mark.parametrize(
    ("uom", "raw", "multiplier", "shown"),
    [
        (72, 842500, -3, "0.843 kWh"),
        (72, 236, 0, "0.236 kWh"),
        (72, 4, 3, "4 kWh"),
        (169, 123456789, -8, "1.235 therms"),
        (119, 15, 0, "15 ft³"),
        (42, 7, -1, "0.7 m³"),
        (38, 1500, 0, "1.5 kW"),
        (77, 3, 0, "3 (unit number 77)"),
        (None, 3, 0, "3 (unit not stated)"),
    ],
)
def test_each_unit_is_shown_as_people_know_it(uom, raw, multiplier, shown):
    unit = charts.unit_of(uom)
    assert unit.words(unit.shown(raw, multiplier)) == shown


@pytest.mark.parametrize(
    ("amount", "text"),
    [("1234567.8", "1,234,567.8"), ("0", "0"), ("-0.0001", "0"), ("100", "100"), ("9E+27", "9.000E+27")],
)
def test_numbers_are_written_for_people(amount, text):
    assert writing.number(Decimal(amount)) == text


amounts = st.one_of(st.none(), st.integers(min_value=-(2**63), max_value=2**63 - 1))


@given(st.lists(amounts, min_size=1, max_size=40), st.integers(min_value=-12, max_value=9))
def test_any_series_fits_the_picture(values, multiplier):
    slots = [
        Slot(n, n + 1, "s", delivered=None if v is None else Value(Decimal(v).scaleb(multiplier)), absent="")
        for n, v in enumerate(values)
    ]
    chart = charts.draw(slots, KWH, (0, len(values)))
    for bar in chart.bars:
        assert bar.y >= charts.TOP - 1
        assert bar.y + bar.height <= charts.TOP + charts.PLOT_HEIGHT + 1
        assert bar.height >= 1


VALUES = st.integers(-(10**4), 10**4) | st.integers(-(10**21), 10**21)


@given(st.lists(VALUES, max_size=5), st.integers(-6, 1), st.integers(0, 3), st.sampled_from(["en", "es", "fr-ca"]))
def test_integers_are_written_as_the_numbers_they_stand_for(values, exponent, places, language):
    amounts = [Decimal(value).scaleb(exponent) for value in values]
    assert writing.places_of_whole(values, exponent) == writing.places_of(amounts)
    with translation.override(language):
        written = writing.wholes(values, exponent, places)
        assert written == [writing.number(amount, places) for amount in amounts]


@given(st.decimals(-(10**9), 10**9, places=4), st.sampled_from(["en", "es", "fr-ca"]))
def test_a_number_is_written_as_django_writes_it(amount, language):
    with translation.override(language):
        rounded = writing.rounded_to(amount, 3)
        assert writing.number(amount, 3) == number_format(rounded, decimal_pos=3, use_l10n=True, force_grouping=True)
