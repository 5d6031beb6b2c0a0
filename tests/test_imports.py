"""Imports run one way: portal -> utilities -> espi. The sandbox stands alone, and only tests may import it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
OURS = {"espi", "utilities", "portal", "tests"}
MAY_IMPORT = {
    "espi": {"espi"},
    "utilities": {"utilities", "espi"},
    "utilities.sandbox": {"utilities.sandbox"},
    "portal": {"portal", "utilities", "espi"},
}
LAYERS = {
    "portal/flows": {"portal.views", "portal.urls", "portal.admin"},
    "portal/views": {"portal.urls", "portal.admin"},
}


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def part(module: str) -> str:
    return "utilities.sandbox" if module.startswith("utilities.sandbox") else module.split(".")[0]


def sources(package: str) -> list[Path]:
    found = sorted((ROOT / package.replace(".", "/")).rglob("*.py"))
    if package == "utilities":
        found = [path for path in found if "sandbox" not in path.relative_to(ROOT).parts]
    return found


@pytest.mark.parametrize("package", sorted(MAY_IMPORT))
def test_a_package_imports_only_what_lies_below_it(package):
    assert sources(package), f"{package} has no modules"
    wrong = [
        f"{path.relative_to(ROOT)} imports {module}"
        for path in sources(package)
        for module in imports(path)
        if module.split(".")[0] in OURS and part(module) not in MAY_IMPORT[package]
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("folder", sorted(LAYERS))
def test_flows_know_no_page_and_pages_know_no_address_list(folder):
    wrong = [
        f"{path.relative_to(ROOT)} imports {module}"
        for path in sorted((ROOT / folder).rglob("*.py"))
        for module in imports(path)
        if any(module == banned or module.startswith(banned + ".") for banned in LAYERS[folder])
    ]
    assert not wrong, "\n".join(wrong)


def test_flows_take_values_and_never_a_web_request():
    wrong = [
        f"{path.relative_to(ROOT)} names HttpRequest"
        for path in sorted((ROOT / "portal/flows").rglob("*.py"))
        if "HttpRequest" in path.read_text()
    ]
    assert not wrong, "\n".join(wrong)
