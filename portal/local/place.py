"""Where this copy runs: its directory, its ports, and the environment its programs get."""

import contextlib
import os
import socket
from dataclasses import dataclass
from pathlib import Path

from portal.local import Problem

ROOT = Path(__file__).resolve().parents[2]
HASHED_ONLY = "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"  # compressing would take seconds
WHERE = ("PORTAL_BASE_URL", "SANDBOX_BASE_URL", "SANDBOX_TLS_BASE_URL", "SANDBOX_PORT", "SANDBOX_TLS_PORT")
BUSY = (
    """Port {port} is in use by another program. Stop that program, or choose another port: make {variable}={other}"""
)


@dataclass(frozen=True)
class Place:
    """One copy on this machine. Ports are TCP ports of `host`, which is this machine alone unless HOST says else."""

    var: Path
    host: str
    port: int
    sandbox_port: int
    sandbox_tls_port: int

    @property
    def ports(self) -> dict[str, int]:
        return {"PORT": self.port, "SANDBOX_PORT": self.sandbox_port, "SANDBOX_TLS_PORT": self.sandbox_tls_port}

    @property
    def addresses(self) -> dict[str, str]:
        """For people: what is served, and where. `localhost`, because passkeys need a name."""
        sandbox = os.environ.get("SANDBOX_BASE_URL") or f"http://localhost:{self.sandbox_port}"
        portal = os.environ.get("PORTAL_BASE_URL") or f"http://localhost:{self.port}"
        return {"Site": f"{portal}/", "Sandbox utilities": f"{sandbox}/_sandbox/"}

    @property
    def where(self) -> dict[str, str]:
        """For programs: the addresses of this copy's site and sandbox, as their variables."""
        return {name: value for name, value in self.environment().items() if name in WHERE}

    def environment(self) -> dict[str, str]:
        """What the programs find in their environment about this copy; what was given already stays as it is."""
        return {
            "VAR_DIR": str(self.var),
            "PORTAL_BASE_URL": f"http://localhost:{self.port}",
            "SANDBOX_BASE_URL": f"http://localhost:{self.sandbox_port}",
            "SANDBOX_TLS_BASE_URL": f"https://localhost:{self.sandbox_tls_port}",
            "SANDBOX_PORT": str(self.sandbox_port),
            "SANDBOX_TLS_PORT": str(self.sandbox_tls_port),
            "SANDBOX_STATE": str(self.var / "sandbox"),
            "STATICFILES_STORAGE": HASHED_ONLY,
            "PYTHONUNBUFFERED": "1",
        } | {name: value for name, value in os.environ.items() if value}


def from_environment() -> Place:
    """The place the environment describes. Raises Problem on a port that is none, or named twice."""
    place = Place(
        var=Path(os.environ.get("VAR_DIR") or ROOT / "var").absolute(),
        host=os.environ.get("HOST") or "localhost",
        port=_port("PORT", 8000),
        sandbox_port=_port("SANDBOX_PORT", 8001),
        sandbox_tls_port=_port("SANDBOX_TLS_PORT", 8002),
    )
    if len(set(place.ports.values())) < 3:
        raise Problem(f"Three different ports are needed; {', '.join(f'{n}={p}' for n, p in place.ports.items())}.")
    return place


def _port(variable: str, default: int) -> int:
    text = os.environ.get(variable) or str(default)
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 65536):
        raise Problem(f"{variable} is {text!r}; it takes a port number from 1 to 65535.")
    return int(text)


def interfaces(host: str) -> list[str]:
    """The addresses of `host` that this machine can listen at; for localhost usually an IPv4 and an IPv6 one."""
    found = []
    with contextlib.suppress(socket.gaierror):
        for family, _, _, _, address in socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM):
            with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_STREAM) as probe:
                probe.bind((address[0], 0))
                found.append(str(address[0]))
    if not found:
        raise Problem(f"HOST is {host!r}, which is no address of this machine.")
    return list(dict.fromkeys(found))


def check_ports(place: Place) -> None:
    """Raises Problem, naming the port and the variable that changes it, when one of our ports is taken."""
    for variable, port in place.ports.items():
        for address in interfaces(place.host):
            if not _free(address, port):
                raise Problem(BUSY.format(port=port, variable=variable, other=port + 80 if port < 65000 else port - 80))


def _free(address: str, port: int) -> bool:
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port in TIME_WAIT is free
        try:
            probe.bind((address, port))
        except PermissionError:
            raise Problem(f"Port {port} may only be opened by root. Choose one from 1024 up.") from None
        except OSError:
            return False
    return True
