"""Which hours a finer reading tells already: the same answer as looking at every pair, in a fraction of the time."""

from hypothesis import given
from hypothesis import strategies as st

from espi import spans

SPANS = st.tuples(st.integers(0, 40), st.integers(1, 9))


@given(st.lists(SPANS), st.integers(0, 45), st.integers(0, 9))
def test_a_span_overlaps_what_shares_time_with_it(stretches, start, duration):
    told = [(first, first + length) for first, length in stretches]
    span = spans.Span(start, duration, 1)
    expected = any(first < start + duration and start < stop for first, stop in told)
    assert spans.Covered(told).overlaps(span) == expected
