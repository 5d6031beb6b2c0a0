"""The smallest parts of an XML export."""

import re
from collections.abc import Mapping
from typing import Any

from lxml import etree

from espi import own
from espi.atom import ATOM as ATOM
from espi.atom import ESPI

_E = f"{{{ESPI}}}"
ATOM_MAP: Any = {None: ATOM}  # namespaces without a prefix; the stubs know none
_ESPI_MAP: Any = {None: ESPI}
OWN_MAP: Any = {None: own.NAMESPACE}
# What XML 1.0 cannot hold (§2.2), and the controls that it can but nobody means.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def plain(text: str) -> str:
    """A text without control characters."""
    return _CONTROL.sub("", text)


def atom(name: str, attributes: Mapping[str, str] | None = None) -> etree._Element:
    """An element of Atom's namespace."""
    return etree.Element(f"{{{ATOM}}}{name}", dict(attributes or {}), nsmap=ATOM_MAP)


def espi_root(name: str) -> etree._Element:
    """The element of a resource."""
    return etree.Element(_E + name, nsmap=_ESPI_MAP)


def add(parent: etree._Element, name: str, value: Any = None) -> etree._Element:
    """A child of that name in the standard's namespace; with `value` as its text."""
    child = etree.SubElement(parent, _E + name)
    if value is not None:
        child.text = plain(value) if isinstance(value, str) else str(value)
    return child
