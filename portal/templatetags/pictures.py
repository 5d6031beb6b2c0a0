"""The many parts of a picture, and of its table, written out: there are hundreds, and a template would take longer for
them than for the page. Whatever is a text is escaped here; places and lengths are numbers of ours."""

from collections.abc import Iterable
from html import escape

from django import template
from django.utils.safestring import SafeString

from portal.charts import Bar, Chart, Place
from portal.heatmaps import Column, HeatMap, Lines, Shade
from portal.meters import Group
from portal.panels import Panel, Row
from portal.patterns import Line, Pattern, Profile

register = template.Library()
Picture = Chart | HeatMap | Lines
STRIPES = {"delivered-estimated": "estimated", "received-estimated": "estimated-received"}  # parts/chart_patterns.html


@register.simple_tag
def axis_numbers(picture: Picture) -> SafeString:
    """What stands beside a picture."""
    return _joined(
        f'<text x="58" y="{tick.y}" dy="4" text-anchor="end">{escape(tick.text)}</text>' for tick in picture.ticks
    )


@register.simple_tag
def axis_lines(picture: Chart | Lines) -> SafeString:
    """Across a picture, one for each number beside it."""
    return _joined(
        f'<line class="chart-line{" chart-zero" if tick.is_zero else ""}" x1="0" x2="100%" y1="{tick.y}" y2="{tick.y}"/>'
        for tick in picture.ticks
    )


@register.simple_tag
def axis_labels(picture: Picture) -> SafeString:
    """The words under a picture."""
    rest = f'y="{picture.label_y}" text-anchor="middle" aria-hidden="true"'
    return _joined(
        f'<text class="chart-label{" chart-label-minor" if label.minor else ""}" x="{label.x}" {rest}>'
        f"{escape(label.text)}</text>"
        for label in picture.labels
    )


@register.simple_tag
def chart_places(chart: Chart, base: str = "", more: str = "") -> SafeString:
    """Every place of a picture with its bars. A link to another time begins with `base` and ends in `more`."""
    return _joined(_place(place, chart, base, more) for place in chart.places)


def _place(place: Place, chart: Chart, base: str, more: str) -> str:
    words, bars = escape(place.title), "".join(_bar(bar) + _dot(bar) for bar in place.bars)
    inside = f"<title>{words}</title>{_hit(place, chart)}{bars}"
    if not place.link:
        return f'<g class="chart-place" role="img" aria-label="{words}">{inside}</g>\n'
    link = f"{base}{place.link}{more}" if place.link.startswith("?") else place.link
    return f'<a class="chart-place" href="{escape(link)}" tabindex="-1" aria-label="{words}">{inside}</a>\n'


def _hit(place: Place | Column, picture: Chart | HeatMap) -> str:
    across = f'x="{place.x}" width="{place.width}"'
    return f'<rect class="chart-hit" {across} y="{picture.plot_top}" height="{picture.plot_height}"/>'


def _bar(bar: Bar) -> str:
    fill = f' fill="url(#{STRIPES[bar.kind]})"' if bar.kind in STRIPES else ""
    place = f'x="{bar.x}" width="{bar.width}" y="{bar.y}" height="{bar.height}"'
    return f'<rect class="chart-bar chart-{bar.kind}"{fill} {place}/>'


def _dot(bar: Bar) -> str:
    return "" if bar.mark_y is None else f'<circle class="chart-revised" cx="{bar.middle}" cy="{bar.mark_y}" r="3"/>'


@register.simple_tag
def heat_shades(heat_map: HeatMap, is_received: bool) -> SafeString:
    """The fields of a heat map."""
    return _joined(_shade(each, each.path, is_received) for each in heat_map.shades)


@register.simple_tag
def heat_legend(heat_map: HeatMap, is_received: bool) -> SafeString:
    """What each of its shades stands for."""
    return _joined(
        f'<li><svg class="swatch" viewBox="0 0 1 1" aria-hidden="true">{_shade(each, "M.5 0v1", is_received)}</svg>'
        f"{escape(each.words)}</li>"
        for each in heat_map.shades
    )


def _shade(shade: Shade, path: str, is_received: bool) -> str:
    return f'<path class="shade {"shade-received " if is_received else ""}shade-{shade.name}" d="{path}"/>'


@register.simple_tag
def heat_columns(heat_map: HeatMap, base: str = "") -> SafeString:
    """What leads on from a heat map: a day or a month each, to a page whose address begins with `base`."""
    return _joined(_column(each, heat_map, base) for each in heat_map.columns)


def _column(column: Column, heat_map: HeatMap, base: str) -> str:
    words, link = escape(column.title), escape(base + column.link)
    inside = f"<title>{words}</title>{_hit(column, heat_map)}"
    return f'<a class="chart-place" href="{link}" tabindex="-1" aria-label="{words}">{inside}</a>'


# --- Tables -----------------------------------------------------------------------------------------------------------


@register.simple_tag
def figure_rows(panel: Panel, more: str = "") -> SafeString:
    """The rows of the table of a picture; links end in `more`."""
    return _joined(_figures(row, panel, more) for row in panel.rows)


def _figures(row: Row, panel: Panel, more: str) -> str:
    numbers = (
        (panel.has_delivered, row.delivered),
        (panel.has_received, row.received),
        (panel.has_before, row.before),
        (panel.has_costs, row.cost),
    )
    cells = _numbers([text for is_shown, text in numbers if is_shown])
    notes = f"<td>{escape(row.notes[:1].upper() + row.notes[1:])}</td>" if panel.has_notes else ""
    return f"<tr>{_heading(row.label, row.link and row.link + more)}{cells}{notes}</tr>\n"


@register.simple_tag
def column_heads(names: list[str]) -> SafeString:
    """Of columns of numbers."""
    return _joined(f'<th scope="col" class="number">{escape(name)}</th>' for name in names)


@register.simple_tag
def hour_rows(pattern: Pattern, base: str = "") -> SafeString:
    """The rows of the table of a heat map; links begin with `base`."""
    return _joined(_hours(line, base) for line in pattern.lines)


def _hours(line: Line, base: str) -> str:
    cells = _numbers([*line.cells, line.total])
    return f"<tr>{_heading(line.label, line.link and base + line.link)}{cells}</tr>\n"


@register.simple_tag
def usual_rows(profile: Profile) -> SafeString:
    """The rows of the table of a usual day."""
    return _joined(f"<tr>{_heading(hour)}{_numbers(means)}</tr>" for hour, *means in profile.rows)


@register.simple_tag
def group_rows(group: Group) -> SafeString:
    """The rows of the table of meters side by side."""
    return _joined(f"<tr>{_heading(label)}{_numbers(texts)}</tr>" for label, texts in group.rows)


def _heading(label: str, link: str = "") -> str:
    words = escape(label)
    inside = f'<a href="{escape(link)}">{words}</a>' if link else words
    return f'<th scope="row">{inside}</th>'


def _numbers(texts: list[str]) -> str:
    return "".join(f'<td class="number">{escape(text)}</td>' for text in texts)


def _joined(parts: Iterable[str]) -> SafeString:
    return SafeString("".join(parts))
