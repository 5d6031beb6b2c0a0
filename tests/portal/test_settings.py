"""Settings as a deployment gives them: docker-compose.yml hands over empty values for what is not set."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SAY = "from portal import settings as s; print(s.EMAIL_BACKEND, getattr(s, 'EMAIL_HOST', ''), s.OUTBOUND_ALLOWED_NETWORKS)"


def settings_with(**environment):
    given = os.environ | {"SECRET_KEY": "x", "PYTHONPATH": str(ROOT)} | environment
    answer = subprocess.run(
        [sys.executable, "-c", SAY], env=given, cwd=ROOT, capture_output=True, text=True, check=True
    )
    return answer.stdout.strip()


SMTP = "django.core.mail.backends.smtp.EmailBackend"


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"EMAIL_URL": "", "OUTBOUND_ALLOWED_NETWORKS": ""}, f"{SMTP} localhost []"),
        (
            {"EMAIL_URL": "smtp://mail.example:25", "OUTBOUND_ALLOWED_NETWORKS": "10.1.2.0/24"},
            f"{SMTP} mail.example ['10.1.2.0/24']",
        ),
    ],
)
def test_what_is_empty_is_not_set(environment, said):
    assert settings_with(PORTAL_BASE_URL="https://portal.example", **environment) == said


@pytest.mark.parametrize("name", ["STAFF_EMAILS", "OUTBOUND_ALLOWED_NETWORKS"])
def test_the_containers_are_given_it(name):
    shared = (ROOT / "docker-compose.yml").read_text().partition("\nservices:")[0]
    assert re.search(rf"^    {name}: \$\{{{name}:-\}}$", shared, re.M)
