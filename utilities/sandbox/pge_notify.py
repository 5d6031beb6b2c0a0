"""PG&E's notifications: a BatchList POSTed to the notification URI, unsigned, never repeated."""

from typing import TYPE_CHECKING
from urllib.parse import quote

from utilities.sandbox import notify, pge_documents, pge_xml
from utilities.sandbox.state import Row

if TYPE_CHECKING:
    from utilities.sandbox.context import Sandbox

HEADERS = {"Content-Type": "application/xml"}
PLACEHOLDER = "correlationID=000000000"


def root(sandbox: "Sandbox") -> str:
    """The ESPI base that addresses of this moment are made with."""
    return sandbox.base("api.pge.com") + pge_documents.ESPI_PATH


def announce(sandbox: "Sandbox", registration: Row, resources: list[str], kind: str) -> None:
    """Queue one BatchList. The fault extra_resources adds addresses to it, early_notification sends it at once."""
    if (args := sandbox.fault("extra_resources", "pge")) is not None:
        resources = resources + list(args.get("urls") or [f"{resources[0].partition('?')[0]}?{PLACEHOLDER}"])
    body = pge_xml.batch_list(resources)
    if (args := sandbox.fault("notification_shape", "pge")) is not None:
        body = _shaped(args.get("shape", "standard"), resources)
    if sandbox.fault("raw_ampersand", "pge") is not None:
        body = body.replace("</ns0:resources>", "&part=1</ns0:resources>", 1)
    early = sandbox.fault("early_notification", "pge") is not None
    number = notify.queue(sandbox, registration, body.encode(), kind, HEADERS, delay=0 if early else None)
    if early and number:
        notify.send(sandbox, number)


def _shaped(shape: str, resources: list[str]) -> str:
    """The same addresses in a shape other utilities use."""
    rows = "".join(f"<resources>{uri}</resources>" for uri in resources)
    if shape == "batchlist_lower":
        return f'<batchList xmlns="{pge_xml.ESPI}">{rows}</batchList>'
    plain = f'<BatchList xmlns="{pge_xml.ESPI}">{rows}</BatchList>'
    if shape == "atom":
        return f'<entry xmlns="{pge_xml.ATOM}"><content type="application/xml">{plain}</content></entry>'
    return plain


def authorization_changed(sandbox: "Sandbox", authorization: Row) -> None:
    """Tell the third party that an authorization was changed or cancelled: fetch it with the client token."""
    registration = sandbox.store.get("registrations", id=authorization["registration"])
    if registration:
        base = authorization["data"].get("root") or root(sandbox)
        uri = f"{base}/Authorization/{quote(authorization['subscription'])}"
        announce(sandbox, registration, [uri], "authorization")
