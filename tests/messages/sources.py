"""Which files speak to customers, and what they say."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from babel.messages.extract import extract_from_file
from django.template import Template, engines
from django.template.base import Node
from django.templatetags.i18n import BlockTranslateNode, TranslateNode

ROOT = Path(__file__).resolve().parents[2]
# What only staff, developers or the pretended utilities say stays English.
NOT_FOR_CUSTOMERS = re.compile(
    r"templates/(sandbox|admin|staff|testing|unfold)/|styleguide|portal/api\.html|/migrations/|"
    r"portal/(admin|api|local|management|uat)\b|portal/(views/|acceptance/)?(testing|staff)|utilities/(sandbox|checks|oauth|addresses)\b"
)
# Modules that hold sentences for customers. Others speak to staff, or only keep words that a speaking one translates.
SPEAKING = re.compile(
    r"^portal/(views/|forms|account_forms|accounts|middleware|context|charts|panels|periods|history|words|"
    r"bills|heatmaps|measured|meters|pairs|patterns|standing|writing)|"
    r"^portal/flows/(authorize|consents|continuity|deletion|exports|overview|results|returning|upload|withdraw)|"
    r"^utilities/[a-z]+\.py$"
)
KEYWORDS: dict[str, tuple[int | tuple[int, str], ...] | None] = {
    "_": None,
    "gettext": None,
    "gettext_lazy": None,
    "gettext_noop": None,
    "ngettext": (1, 2),
    "ngettext_lazy": (1, 2),
    "pgettext": ((1, "c"), 2),
    "pgettext_lazy": ((1, "c"), 2),
    "npgettext": ((1, "c"), 2, 3),
}
IN_EXPRESSION = re.compile(r"""_\((?:"([^"]*)"|'([^']*)')\)""")


@dataclass(frozen=True)
class Message:
    """A text to translate, as the catalogue is asked for it. `source`: the file, relative to the root."""

    text: str
    plural: str = ""
    context: str = ""
    source: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """What the catalogue knows it by."""
        return self.context, self.text


def templates() -> list[Path]:
    """Every template that customers meet."""
    found = (path for kind in ("*.html", "*.txt") for path in (ROOT / "templates").rglob(kind))
    return sorted(path for path in found if not NOT_FOR_CUSTOMERS.search(relative(path)))


def modules() -> list[Path]:
    """Every module that may speak to customers."""
    found = (path for package in ("espi", "utilities", "portal") for path in (ROOT / package).rglob("*.py"))
    return sorted(path for path in found if not NOT_FOR_CUSTOMERS.search(relative(path)))


def speaking() -> list[Path]:
    """The modules whose sentences are for customers, so far as they are for anybody."""
    return [path for path in modules() if SPEAKING.search(relative(path))]


def relative(path: Path) -> str:
    """As it stands in the catalogue."""
    return path.relative_to(ROOT).as_posix()


def messages() -> list[Message]:
    """Every marked text of every file."""
    found = [message for path in templates() for message in of_template(path)]
    return found + [message for path in modules() for message in of_module(path)]


def of_module(path: Path) -> Iterator[Message]:
    """The marked texts of a Python file."""
    for _line, text, _comments, context in extract_from_file("python", path, keywords=KEYWORDS):
        singular, plural = (text[0], text[1]) if isinstance(text, tuple) else (text, "")
        yield Message(singular, plural, context or "", relative(path))


def compiled(path: Path) -> Template:
    """The template, parsed as the site parses it."""
    return Template(path.read_text(), engine=engines["django"].engine)  # type: ignore[attr-defined]


def of_template(path: Path) -> Iterator[Message]:
    """The marked texts of a template: its tags', asked of Django itself, and `_("…")` in expressions."""
    for node in compiled(path).nodelist.get_nodes_by_type((TranslateNode, BlockTranslateNode)):
        yield from _of_node(node, relative(path))
    for match in re.finditer(r"\{[%{].*?[%}]\}", path.read_text()):
        for one, two in IN_EXPRESSION.findall(match.group()):
            yield Message((one or two).replace("%", "%%"), source=relative(path))


def _of_node(node: Node, source: str) -> Iterator[Message]:
    context = getattr(node, "message_context", None)
    words = str(context.resolve({})) if context else ""
    if isinstance(node, BlockTranslateNode):
        singular, _ = node.render_token_list(node.singular)
        plural = node.render_token_list(node.plural)[0] if node.plural else ""
        yield Message(singular, plural, words, source)
    elif isinstance(node, TranslateNode) and node.filter_expression.var.literal is not None:
        yield Message(str(node.filter_expression.var.literal).replace("%", "%%"), "", words, source)


# --- Texts that nobody marked -------------------------------------------------------------------------------------

WORD = re.compile(r"[^\W\d_]{2,}")
SPOKEN = re.compile(r"""\s(alt|title|aria-label|placeholder|aria-description)\s*=\s*("[^"]*"|'[^']*')""")
UNSPOKEN = re.compile(r"<(script|style|code|svg)\b.*?</\1>|<!--.*?-->|<!doctype[^>]*>", re.DOTALL | re.IGNORECASE)
QUIET = {"HTTP", "URL"}


def bare(path: Path) -> list[str]:
    """Words of a template that stand outside every translation tag, in its text or in attributes that are read out."""
    page = UNSPOKEN.sub(" ", _without_tags(path.read_text()))
    spoken = [match[1].strip("\"'") for match in SPOKEN.findall(page)] if path.suffix == ".html" else []
    text = re.sub(r"<[^>]*>", "\n", page) if path.suffix == ".html" else page
    found = [line.strip() for part in (*spoken, text) for line in part.splitlines()]
    return [line for line in found if set(WORD.findall(re.sub(r"&\w+;", " ", line))) - QUIET]


def _without_tags(source: str) -> str:
    """The source without comments, translated blocks, tags and expressions."""
    source = re.sub(r"\{%\s*comment\b.*?endcomment\s*%\}|\{#.*?#\}", "", source, flags=re.DOTALL)
    source = re.sub(r"\{% block width %\}.*?\{% endblock", "", source)
    source = re.sub(r"\{%\s*blocktrans(?:late)?\b.*?endblocktrans(?:late)?\s*%\}", "", source, flags=re.DOTALL)
    return re.sub(r"\{%.*?%\}|\{\{.*?\}\}", "", source, flags=re.DOTALL)


MARKERS = {name for name in KEYWORDS if name != "_"} | {"_"}
TO_STAFF = {"log", "getLogger", "RegexValidator", "help_text", "Gas", "Regulator"}
TOLD_TO_STAFF = {"why_not_fetched", "revoke", "missing"}  # what these functions say
PROPER_NAMES = {"name", "long_name", "SUBSCRIPTION_NAME"}
RAISED_TO_US = re.compile(r"(ValueError|TypeError|KeyError|RuntimeError|AssertionError|ImproperlyConfigured)$")


def unmarked(path: Path) -> list[str]:
    """Sentences in a module (a blank, a capital or a full stop) that are neither marked nor documentation."""
    tree = ast.parse(path.read_text())
    quiet = {id(node) for node in _not_spoken(tree)}
    found = (node for node in ast.walk(tree) if id(node) not in quiet)
    return [node.value for node in found if isinstance(node, ast.Constant) and _is_sentence(node.value)]


def _is_sentence(value: object) -> bool:
    return isinstance(value, str) and bool(re.search(r"^[A-Z“][\w’'-]*[ ,].*[a-z]|[a-z]{2,} [a-z]{2,}.*[.?!]$", value))


def _not_spoken(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield node.value  # a docstring
        elif (isinstance(node, ast.Call) and _name(node.func) in MARKERS | TO_STAFF) or (
            isinstance(node, ast.Call) and RAISED_TO_US.search(_name(node.func))
        ):
            yield from ast.walk(node)
        elif isinstance(node, ast.keyword) and node.arg in TO_STAFF:
            yield from ast.walk(node.value)
        elif isinstance(node, ast.FunctionDef) and node.name in TOLD_TO_STAFF:
            yield from ast.walk(node)
        elif isinstance(node, ast.Assign) and {getattr(each, "id", "") for each in node.targets} & PROPER_NAMES:
            yield from ast.walk(node.value)


def _name(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return "log" if getattr(function.value, "id", "") == "log" else function.attr
    return getattr(function, "id", "")
