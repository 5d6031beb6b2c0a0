"""What stands before the first page: tables, static files, the sandbox's registration of us, the demo customers."""

import os
import subprocess
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

from portal.local.place import ROOT


def prepare(directory: Path) -> None:
    """Bring the database in the environment up to date. Every step may be repeated; nothing is doubled."""
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0, interactive=False)
    collect_static(directory)
    onboarding = directory / "onboarding"
    onboarding.mkdir(parents=True, exist_ok=True, mode=0o700)
    forms, welcome = onboarding / "forms.json", onboarding / "welcome.json"
    call_command("registration_form", output=str(forms))
    register = [sys.executable, "-m", "utilities.sandbox", "register", str(forms), "--output", str(welcome)]
    subprocess.run(register, cwd=ROOT, check=True)  # noqa: S603
    call_command("load_welcome_package", str(welcome))
    call_command("seed_demo")


def collect_static(directory: Path) -> None:
    """Collect, hash and compress the static files, unless they are as they were the last time."""
    from django.core.management import call_command

    stamp = directory / "static.stamp"
    state = fingerprint(ROOT / "static", ROOT / "uv.lock")
    if not stamp.exists() or stamp.read_text() != state:
        call_command("collectstatic", verbosity=0, interactive=False)
        stamp.write_text(state)


def fingerprint(*places: Path) -> str:
    """A value that changes when a file in `places` is added, removed or written."""
    lines = sorted(f"{path} {found.st_size} {found.st_mtime_ns}" for path, found in _files(places))
    return sha256("\n".join(lines).encode()).hexdigest()


def _files(places: tuple[Path, ...]) -> Iterator[tuple[Path, os.stat_result]]:
    for place in places:
        for path in [place, *place.rglob("*")]:
            if path.is_file():
                yield path, path.stat()
