"""What a page says, as a reader takes it in."""

import lxml.html


def words(element: lxml.html.HtmlElement) -> str:
    """Its text, single spaces between words."""
    return " ".join(element.text_content().split())


def table(document: lxml.html.HtmlElement, number: int = 0) -> list[list[str]]:
    """The rows of the body of a table, as lists of texts."""
    found = document.xpath("//table")[number]
    return [[words(cell) for cell in row.xpath("./th|./td")] for row in found.xpath(".//tbody/tr")]
