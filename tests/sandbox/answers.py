"""What the sandbox answers, taken apart."""

from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree

from werkzeug.test import TestResponse

NS = {"a": "http://www.w3.org/2005/Atom", "e": "http://naesb.org/espi", "c": "http://naesb.org/espi/customer"}


def redirected(answer: TestResponse, redirect: str) -> dict[str, str]:
    """The query that the third party's redirect address is called with."""
    assert answer.status_code == 302, answer.text
    assert answer.headers["Location"].startswith(redirect)
    return {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["Location"]).query).items()}


def xml(answer: TestResponse) -> ElementTree.Element:
    assert answer.status_code == 200, f"{answer.status_code} {answer.text[:300]}"
    return ElementTree.fromstring(answer.data)


def texts(root: ElementTree.Element, name: str) -> list[str]:
    return [one.text or "" for one in root.iter(f"{{http://naesb.org/espi}}{name}")]


def selves(root: ElementTree.Element) -> list[str]:
    return [link.get("href", "") for link in root.findall("a:entry/*[@rel='self']", NS)]
