"""Our own words in Green Button files: what the standard's elements cannot hold stands in their `extension`.

Every object of the schema may begin with `extension` elements of any content (espi.xsd 4.0, type Object). A file that we
wrote and read again is thereby the same data:

    <extension><series xmlns="urn:x-share-my-meter:1">2</series></extension>        the second of several like channels
    <extension><told xmlns="urn:x-share-my-meter:1"><rate>9</rate></told></extension>   what has no valid place of its own
    <extension><untold xmlns="urn:x-share-my-meter:1">itemKind</untold></extension>     what stands there only because it must
"""

from typing import Any

NAMESPACE = "urn:x-share-my-meter:1"
SERIES = f"{{{NAMESPACE}}}series"
TOLD = f"{{{NAMESPACE}}}told"
UNTOLD = f"{{{NAMESPACE}}}untold"
_EXTENSION = "extension"
_MOST_SERIES = 1000


def restored(said: Any) -> Any:
    """What was said before we wrote it out: `said` is an object as JSON, with our extensions as `{namespace}name`."""
    if isinstance(said, list):
        return [restored(each) for each in said]
    if not isinstance(said, dict):
        return said
    ours: list[dict[str, Any]] = []
    others: list[Any] = []
    for each in _listed(said.get(_EXTENSION, [])):
        is_ours = isinstance(each, dict) and each.keys() & {TOLD, UNTOLD}
        (ours if is_ours else others).append(each)
    untold = {name for each in ours for name in str(each.get(UNTOLD, "")).split()}
    found = {name: value for name, value in said.items() if name != _EXTENSION and name not in untold}
    if others:
        found[_EXTENSION] = others if len(others) > 1 else others[0]
    for each in ours:
        told = each.get(TOLD)
        found |= told if isinstance(told, dict) else {}
    return {name: restored(value) for name, value in found.items()}


def series(said: Any) -> tuple[int, Any]:
    """Which of several like channels a MeterReading is (1 where it does not say), and what else it says."""
    if not isinstance(said, dict) or _EXTENSION not in said:
        return 1, said
    extensions = _listed(said[_EXTENSION])
    found = [each[SERIES] for each in extensions if isinstance(each, dict) and SERIES in each]
    if not found or not isinstance(found[0], int) or not 1 < found[0] < _MOST_SERIES:
        return 1, said
    others = [each for each in extensions if not (isinstance(each, dict) and SERIES in each)]
    rest = {name: value for name, value in said.items() if name != _EXTENSION}
    return found[0], rest | ({_EXTENSION: others} if others else {})


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
