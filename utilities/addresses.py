"""Addresses: where a utility answers in each environment, and whether a URL leads there and nowhere else."""

from dataclasses import dataclass, replace
from urllib.parse import SplitResult, unquote, urlsplit

import requests
from django.conf import settings

from utilities.oauth import UntrustedAddress

URL_FIELDS = ("authorize_url", "token_url", "resource_base")
LONGEST_URL = 2048
PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Addresses:
    """One utility in one environment under one edition. `web_hosts` and `api_hosts` are known besides those named.

    An address on a registration may replace a declared one only on a host of the same kind. `played`: by the sandbox.
    """

    authorize_url: str
    token_url: str
    resource_base: str
    web_hosts: tuple[str, ...] = ()
    api_hosts: tuple[str, ...] = ()
    played: bool = False

    def places(self, field: str) -> tuple[str, ...]:
        """What `authorize_url`, `token_url` or `resource_base` may begin with: a host, in the sandbox a played host."""
        more = {"authorize_url": self.web_hosts, "token_url": self.api_hosts}.get(field, ())
        parts = urlsplit(getattr(self, field))
        host = f"{parts.netloc}/{parts.path.split('/')[1]}" if self.played else parts.netloc
        return (f"{parts.scheme}://{host}", *(f"https://{host}" for host in more))


def in_sandbox(url: str, tls_hosts: frozenset[str]) -> str:
    """Where the sandbox plays this address: under the utility's real host name as the first part of the path.

    Hosts that want a client certificate are played at SANDBOX_TLS_BASE_URL, the others at SANDBOX_BASE_URL.
    """
    host = urlsplit(url).netloc
    base = settings.SANDBOX_TLS_BASE_URL if host in tls_hosts else settings.SANDBOX_BASE_URL
    return url.replace(f"https://{host}", f"{base.rstrip('/')}/{host}", 1)


def sandboxed(addresses: Addresses, tls_hosts: frozenset[str]) -> Addresses:
    """The same addresses, played by the sandbox."""
    urls = {field: in_sandbox(getattr(addresses, field), tls_hosts) for field in URL_FIELDS}
    return replace(addresses, **urls, web_hosts=(), api_hosts=(), played=True)


def require_within(url: str, base: str) -> None:
    """Raises UntrustedAddress unless `url`, as our HTTP client would send it, lies at or under `base`."""
    sent, trusted = urlsplit(as_sent(url)), urlsplit(base)
    if sent.scheme != trusted.scheme:
        raise UntrustedAddress(f"the address is not {trusted.scheme}")
    if sent.hostname != trusted.hostname:
        raise UntrustedAddress("the address is at another host")
    if _port(sent) != _port(trusted):
        raise UntrustedAddress("the address is at another port")
    path = trusted.path.rstrip("/")
    if sent.path != path and not sent.path.startswith(f"{path}/"):
        raise UntrustedAddress("the address is outside the utility's resources")


def _port(parts: SplitResult) -> int:
    return PORTS[parts.scheme] if parts.port is None else parts.port


def as_sent(url: str) -> str:
    """The URL as `requests` prepares it. Raises UntrustedAddress for what a utility has no reason to write."""
    if not 0 < len(url) <= LONGEST_URL:
        raise UntrustedAddress("the address is empty or too long")
    if not all("!" <= char <= "~" for char in url) or any(char in url for char in "\\#"):
        raise UntrustedAddress("the address holds characters that no address of a utility has")
    try:
        sent = requests.Request("GET", url).prepare().url or ""
        parts, written = urlsplit(sent), urlsplit(url)
        _ = parts.port, written.port
    except (requests.RequestException, ValueError):
        raise UntrustedAddress("the address cannot be read") from None
    if parts.scheme not in PORTS or any(char in parts.netloc + written.netloc for char in "@%"):
        raise UntrustedAddress("the address is of another kind, names a user or escapes its host")
    if _port(parts) != _port(written):  # `requests` leaves out port 0
        raise UntrustedAddress("the address is at another port")
    if _climbs(url) or _climbs(sent):
        raise UntrustedAddress("the address climbs out of its path")
    return sent


def _climbs(url: str) -> bool:
    """`.` or `..` as a part of the path, however often it is escaped and whatever parameter or control stands in it."""
    path = urlsplit(url).path
    while (plain := unquote(path)) != path:
        path = plain
    parts = path.replace("\\", "/").split("/")
    return any(_visible(part.partition(";")[0]) in (".", "..") for part in parts)


def _visible(part: str) -> str:
    return "".join(each for each in part if each.isprintable() and not each.isspace())
