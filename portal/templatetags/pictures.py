"""The many parts of a picture, written out: a day has hundreds, and a template would take longer for them than for the page."""

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from portal.charts import Bar, Chart, Place

register = template.Library()
STRIPES = {"delivered-estimated": "estimated", "received-estimated": "estimated-received"}  # parts/chart_patterns.html
HIT = '<title>{}</title><rect class="chart-hit" x="{}" width="{}" y="{}" height="{}"/>{}'
LINK = '<a class="chart-place" href="{}" tabindex="-1" aria-label="{}">{}</a>\n'
GROUP = '<g class="chart-place" role="img" aria-label="{}">{}</g>\n'


@register.simple_tag
def chart_places(chart: Chart, base: str = "", more: str = "") -> SafeString:
    """Every place of a picture with its bars. A link to another time begins with `base` and ends in `more`."""
    return format_html_join("", "{}", ((_place(place, chart, base, more),) for place in chart.places))


def _place(place: Place, chart: Chart, base: str, more: str) -> SafeString:
    bars = format_html_join("", "{}{}", ((_bar(bar), _dot(bar)) for bar in place.bars))
    inside = format_html(HIT, place.title, place.x, place.width, chart.plot_top, chart.plot_height, bars)
    if not place.link:
        return format_html(GROUP, place.title, inside)
    link = f"{base}{place.link}{more}" if place.link.startswith("?") else place.link
    return format_html(LINK, link, place.title, inside)


def _bar(bar: Bar) -> SafeString:
    fill = format_html(' fill="url(#{})"', STRIPES[bar.kind]) if bar.kind in STRIPES else ""
    place = (bar.kind, fill, bar.x, bar.width, bar.y, bar.height)
    return format_html('<rect class="chart-bar chart-{}"{} x="{}" width="{}" y="{}" height="{}"/>', *place)


def _dot(bar: Bar) -> SafeString | str:
    if bar.mark_y is None:
        return ""
    return format_html('<circle class="chart-revised" cx="{}" cy="{}" r="3"/>', bar.middle, bar.mark_y)
