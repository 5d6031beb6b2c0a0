"""Reading the environment, and telling what can stand in it: `.env.example` is made from the settings themselves."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import environ
from environ.fileaware_mapping import FileAwareMapping

SETTINGS = Path(__file__).with_name("settings.py")
HEADING = re.compile(r"^# --- (.+?):?\s-{3,}$")
HEAD = """# What can be set, as NAME=value. Made from portal/settings.py by `manage.py env_example --write`; not edited by hand.
# A line that begins with # shows the value that holds when nothing is set. Every value may also be read from a file:
# NAME_FILE=/run/secrets/name. docs/deploy.md says which ones a site in production needs.
"""


class Files(FileAwareMapping):
    """The environment, where NAME_FILE names a file that holds the value; the file's last line break is not part of it."""

    def __getitem__(self, key: str) -> str:
        value: str = super().__getitem__(key)
        return value.rstrip("\r\n") if self.env.get(f"{key}_FILE") else value


class Environment(environ.Env):
    """django-environ's reader over `Files`."""

    ENVIRON = Files()


@dataclass(frozen=True)
class Variable:
    """One variable of the settings: under which heading, its kind (`str`, `bool` …), its default, what is said of it."""

    name: str
    heading: str
    kind: str
    default: str
    words: tuple[str, ...]


def variables(source: str) -> Iterator[Variable]:
    """Each variable that a settings module reads, in its order."""
    lines = source.splitlines()
    seen = set()
    calls = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call) and _reads(node))
    for call in sorted(calls, key=lambda node: (node.lineno, node.col_offset)):
        name, kind = _name(call), call.func.attr if isinstance(call.func, ast.Attribute) else ""
        if name not in seen:
            seen.add(name)
            yield Variable(name, _heading(lines, call.lineno), kind, _default(call), _words(lines, call.lineno))


def example() -> str:
    """The whole of `.env.example`."""
    parts, heading = [HEAD], ""
    for each in variables(SETTINGS.read_text()):
        if each.heading != heading:
            heading = each.heading
            parts.append(f"\n# === {heading}\n")
        parts.extend(f"# {line}\n" for line in each.words)
        parts.append(f"# {each.name}={each.default}\n")
    return "".join(parts)


def _reads(node: ast.Call) -> bool:
    is_env = (
        isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name) and node.func.value.id == "env"
    )
    return is_env and bool(node.args) and isinstance(node.args[0], ast.Constant)


def _name(node: ast.Call) -> str:
    return str(node.args[0].value) if isinstance(node.args[0], ast.Constant) else ""


def _default(node: ast.Call) -> str:
    """As one would write it in the environment; how it is computed, in angle brackets, where it is not a plain value."""
    given = [word.value for word in node.keywords if word.arg == "default"] or node.args[1:2]
    if not given:
        return ""
    try:
        return _written(ast.literal_eval(given[0]))
    except ValueError:
        return f"<{ast.unparse(given[0])}>"


def _written(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ",".join(map(_written, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _heading(lines: list[str], number: int) -> str:
    found = (HEADING.match(line) for line in reversed(lines[:number]))
    return next((match[1].rstrip(": ") for match in found if match), "")


def _words(lines: list[str], number: int) -> tuple[str, ...]:
    """The comment above the line, and the one at its end."""
    above = []
    for line in reversed(lines[: number - 1]):
        if not line.startswith("# ") or HEADING.match(line):
            break
        above.append(line[2:].strip())
    _, mark, after = lines[number - 1].partition("  # ")
    return (*reversed(above), *([after.strip()] if mark and "noqa" not in after else []))
