"""The one place that builds a requests.Session: who may be called, how long it may take, whom we trust.

No redirect is followed, no `.netrc`, proxy or certificate variable of the environment is read, no cookie is kept, and
the address that a name resolved to is judged before anything is sent to it.
"""

import http.cookiejar
import ipaddress
import os
import socket
import ssl
import threading
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from types import TracebackType
from typing import Any, Protocol, Self

import certifi
import requests
from django.conf import settings
from requests.adapters import BaseAdapter, HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

CONNECT_SECONDS = 10.0
READ_SECONDS = 60.0

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# What `ipaddress` counts as global although it leads elsewhere: NAT64, 6to4 and its relays, Teredo, IPv4 inside IPv6 (also
# of SIIT), site-local, documentation, segment routing, IETF's own, and where Azure and Oracle answer every machine.
DETOURS = tuple(
    ipaddress.ip_network(network)
    for network in (
        "64:ff9b::/96",
        "64:ff9b:1::/48",
        "2002::/16",
        "192.88.99.0/24",
        "2001::/32",
        "::/96",
        "::ffff:0:0:0/96",
        "fec0::/10",
        "3fff::/20",
        "5f00::/16",
        "192.0.0.0/24",
        "168.63.129.16/32",
    )
)


# --- Two families of failure -------------------------------------------------------------------------------------


class TryLater(Exception):
    """It may work another time. `retry_after` is the number of seconds the other side asked for, or None."""

    retry_after: int | None = None


class NeedsAttention(Exception):
    """It will not work before somebody did something about it."""


class AddressRefused(NeedsAttention):
    """The name leads to an address that no utility has: this machine, a private network, cloud metadata."""


class CertificateUnusable(NeedsAttention):
    """A certificate, key or authority file that we were told to use cannot be used."""


# --- A deadline over everything ----------------------------------------------------------------------------------

_current: ContextVar["Deadline | None"] = ContextVar("deadline", default=None)


class Deadline:
    """Ends every exchange begun inside it after `seconds`, however slowly the bytes trickle.

    A read timeout begins anew with every byte; so a timer shuts the sockets down. Afterwards `expired` tells why a
    read ended.
    """

    def __init__(self, seconds: float) -> None:
        """`seconds` from entering the context."""
        self.expired = False
        self._lock = threading.Lock()
        self._handles: list[socket.socket] = []
        self._timer = threading.Timer(seconds, self._expire)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._token = _current.set(self)
        self._timer.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._timer.cancel()
        _current.reset(self._token)
        with self._lock:
            for handle in self._handles:
                handle.close()
            self._handles.clear()

    def watch(self, connected: socket.socket) -> None:
        """Keep a handle of our own: wrapping a socket in TLS empties the object it was given."""
        handle = socket.socket(fileno=os.dup(connected.fileno()))
        with self._lock:
            self._handles.append(handle)
        if self.expired:
            self._expire()

    def _expire(self) -> None:
        self.expired = True
        with self._lock:
            for handle in self._handles:
                with suppress(OSError):
                    handle.shutdown(socket.SHUT_RDWR)


def _watch(connected: socket.socket | None) -> None:
    deadline = _current.get()
    if deadline and connected is not None:
        deadline.watch(connected)


# --- Connections that look where they lead -----------------------------------------------------------------------


@dataclass(frozen=True)
class Reach:
    """Which addresses may be connected to beside public ones."""

    networks: tuple[Network, ...] = ()
    loopback: bool = False

    @classmethod
    def of(cls, networks: Sequence[str], *, loopback: bool = False) -> Self:
        """Networks as they stand in the settings (CIDR)."""
        return cls(tuple(ipaddress.ip_network(network, strict=False) for network in networks), loopback)

    def permits(self, address: str) -> bool:
        """Judge one numeric address."""
        ip = _unmapped(ipaddress.ip_address(address.partition("%")[0]))
        if (embedded := _isatap(ip)) and not self.permits(str(embedded)):
            return False
        if any(ip in network for network in self.networks) or (self.loopback and ip.is_loopback):
            return True
        return ip.is_global and not ip.is_multicast and not any(ip in network for network in DETOURS)


def _unmapped(ip: Address) -> Address:
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return mapped or ip


def _isatap(ip: Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address at which an ISATAP interface is reached (RFC 5214, 6.1)."""
    if isinstance(ip, ipaddress.IPv6Address) and ip.packed[8:12] in (b"\0\0\x5e\xfe", b"\2\0\x5e\xfe"):
        return ipaddress.IPv4Address(ip.packed[12:])
    return None


class _Connection(HTTPConnection):
    reach: Reach

    def _new_conn(self) -> socket.socket:
        """Connect to the first address that may be reached. The name is looked up once: what is judged is what is used."""
        failure: Exception = NewConnectionError(self, "the name has no address")
        for family, address in self._permitted():
            try:
                connected = _open(family, address, self.timeout)
            except TimeoutError:
                failure = ConnectTimeoutError(self, "connecting took too long")
            except OSError as error:
                failure = NewConnectionError(self, f"no connection: {error.strerror or type(error).__name__}")
            else:
                _watch(connected)
                return connected
        raise failure

    def _permitted(self) -> Sequence[tuple[int, Any]]:
        try:
            return _looked_up(self._dns_host, self.port, self.reach)
        except (socket.gaierror, UnicodeError) as error:
            raise NameResolutionError(self.host, self, socket.gaierror(str(error))) from error

    def request(self, *args: Any, **kwargs: Any) -> None:
        _watch(self.sock)  # a connection kept from an earlier exchange comes under this one's deadline
        super().request(*args, **kwargs)


class _TLSConnection(_Connection, HTTPSConnection):
    pass


def _looked_up(host: str, port: int | None, reach: Reach) -> Sequence[tuple[int, Any]]:
    """The addresses of a name that may be reached. Raises AddressRefused where there are others only."""
    found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
    permitted = [(family, address) for family, _, _, _, address in found if reach.permits(str(address[0]))]
    if found and not permitted:
        raise AddressRefused(f"{host} leads to an address that is not on the public internet")
    return permitted


def connect(host: str, port: int, reach: Reach, *, seconds: float) -> socket.socket:
    """A socket alone, for whoever looks at a handshake; judged as those of a session. Raises AddressRefused, OSError."""
    failure = OSError("the name has no address")
    for family, address in _looked_up(host, port, reach):
        try:
            return _open(family, address, seconds)
        except OSError as error:
            failure = error
    raise failure


def _open(family: int, address: Any, timeout: Any) -> socket.socket:
    connecting = socket.socket(family, socket.SOCK_STREAM)
    try:
        connecting.settimeout(timeout if isinstance(timeout, int | float) else CONNECT_SECONDS)
        connecting.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connecting.connect(address)
    except BaseException:
        connecting.close()
        raise
    return connecting


class _Adapter(HTTPAdapter):
    """Verifies every certificate against its own context; no argument of a single request can change that."""

    def __init__(self, reach: Reach, context: ssl.SSLContext) -> None:
        self._reach, self._context = reach, context
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, ssl_context=self._context, **kwargs)
        plain = type("Connection", (_Connection,), {"reach": self._reach})
        tls = type("TLSConnection", (_TLSConnection,), {"reach": self._reach})
        self.poolmanager.pool_classes_by_scheme = {
            "http": type("Pool", (HTTPConnectionPool,), {"ConnectionCls": plain}),
            "https": type("TLSPool", (HTTPSConnectionPool,), {"ConnectionCls": tls}),
        }

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """The context holds the authorities and our certificate."""

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:  # type: ignore[override]
        timeout = kwargs.get("timeout") or (CONNECT_SECONDS, READ_SECONDS)
        return super().send(request, stream=bool(kwargs.get("stream")), timeout=timeout, verify=True)


def _stamp(path: str) -> tuple[str, int]:
    """A renewed file is read again."""
    try:
        return path, os.stat(path).st_mtime_ns if path else 0
    except OSError as error:
        raise CertificateUnusable(f"The file {path} cannot be read: {error.strerror}.") from error


@lru_cache(maxsize=32)
def _context(*files: tuple[str, int]) -> ssl.SSLContext:
    authorities, extra, certificate, key = (path for path, _ in files)
    context = ssl.create_default_context(cafile=authorities)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # SSLKEYLOGFILE of the environment would write the keys of every connection down.
    context.keylog_filename = None  # type: ignore[assignment]
    try:
        if extra:
            context.load_verify_locations(extra)
        if certificate:
            # An encrypted key would make OpenSSL ask for its password on the terminal.
            context.load_cert_chain(certificate, key or None, password=lambda: "")
    except (OSError, ValueError) as error:
        names = " or ".join(path for path in (extra, certificate, key) if path)
        raise CertificateUnusable(f"{names} does not hold a usable certificate and unencrypted key.") from error
    return context


# --- Listening in ------------------------------------------------------------------------------------------------

HEARD = 4096  # bytes of an answer that a listener gets to see


class Exchange:
    """A request and what is known of its answer. `status` None: none came, and `problem` names the kind of failure."""

    def __init__(self, request: requests.PreparedRequest) -> None:
        self.request = request
        self.began_at = datetime.now(UTC)
        self._began = time.monotonic()
        self.status: int | None = None
        self.headers: Mapping[str, str] = {}
        self.problem = ""
        self.milliseconds = 0
        self._bytes = b""

    def fail(self, problem: str) -> None:
        """No answer came."""
        self.problem = problem
        self.milliseconds = round((time.monotonic() - self._began) * 1000)

    def answer(self, response: requests.Response) -> None:
        """Its head has come."""
        self.status, self.headers = response.status_code, response.headers
        self.milliseconds = round((time.monotonic() - self._began) * 1000)

    def hear(self, data: bytes) -> None:
        """A piece of the body."""
        self._bytes += data[: HEARD - len(self._bytes)]

    @property
    def beginning(self) -> bytes:
        """The first bytes of the body, inflated as far as they go."""
        if self.headers.get("Content-Encoding", "").strip().lower() not in ("gzip", "x-gzip"):
            return self._bytes
        try:
            return zlib.decompressobj(wbits=16 + zlib.MAX_WBITS).decompress(self._bytes, HEARD)
        except zlib.error:
            return b""


class Listener(Protocol):
    """Who wants to know what is said."""

    def heard(self, exchange: Exchange) -> None:
        """One exchange is over."""


_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Every exchange of our sessions inside is told to `listener`, which must not keep a secret it hears."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


class _Overheard:
    """The body of an answer; what is read of it is heard too, and closing it ends the exchange."""

    def __init__(self, raw: Any, exchange: Exchange, listener: Listener) -> None:
        self._raw, self._exchange, self._listener = raw, exchange, listener
        self._is_over = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)

    def read1(self, *args: Any, **kwargs: Any) -> bytes:
        data: bytes = self._raw.read1(*args, **kwargs)
        self._exchange.hear(data or b"")
        return data

    def close(self) -> None:
        self._raw.close()
        if not self._is_over:
            self._is_over = True
            self._listener.heard(self._exchange)


# --- Sessions ----------------------------------------------------------------------------------------------------


class Session(requests.Session):
    """A session that follows no redirect, and lets a listener hear what is said."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        """None, whatever the answer says."""

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """As ever; a listener is told when the answer has been read, or did not come."""
        listener = _listener.get()
        if listener is None:
            return super().send(request, **kwargs)
        exchange = Exchange(request)
        try:
            response = super().send(request, **kwargs)
        except requests.RequestException as error:
            exchange.fail(type(error).__name__)
            listener.heard(exchange)
            raise
        exchange.answer(response)
        response.raw = _Overheard(response.raw, exchange, listener)
        return response


_mounted: list[tuple[str, BaseAdapter]] = []


@contextmanager
def mounted(prefix: str, adapter: BaseAdapter) -> Iterator[None]:
    """Every session built inside uses `adapter` for URLs that begin with `prefix`: tests call a program in process."""
    _mounted.append((prefix, adapter))
    try:
        yield
    finally:
        _mounted.remove((prefix, adapter))


def build(
    *,
    verify: str | bool = True,
    extra_ca: str = "",
    certificate: tuple[str, str] | None = None,
    allowed_networks: Sequence[str] = (),
    allow_loopback: bool = False,
) -> Session:
    """A session for one utility.

    `verify`: True for the usual authorities (certifi), or a file of authorities to use instead of them. `extra_ca`: a
    file of authorities to trust as well. `certificate`: files of our client certificate and its key.
    `allowed_networks`: CIDR; may be reached although not public. Raises ValueError for `verify=False`,
    CertificateUnusable for a file that cannot be used.
    """
    if verify is False:
        raise ValueError("Verification of certificates cannot be turned off.")
    files = (certifi.where() if verify is True else verify, extra_ca, *(certificate or ("", "")))
    reach = Reach.of(allowed_networks, loopback=allow_loopback)
    adapter = _Adapter(reach, _context(*map(_stamp, files)))
    session = Session()
    session.trust_env = False
    session.cert = certificate  # for adapters of `mounted`; ours holds it in its context
    session.cookies.set_policy(http.cookiejar.DefaultCookiePolicy(allowed_domains=[]))
    session.headers["User-Agent"] = f"ShareMyMeter/1.0 (+{settings.PORTAL_BASE_URL})"
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    for prefix, mounted_adapter in _mounted:
        session.mount(prefix, mounted_adapter)
    return session
