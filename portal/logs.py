"""Logs: one line per event on standard output, and no secret in any of them.

Every value that reaches a line passes `redact`, tracebacks included. What it removes: query strings (a callback's
carries `code` and `state`, a utility's arrival an account number), tokens, passwords in connection addresses, and the
secret part of a notification address, or of an address that ends letters.
"""

import logging
import logging.config
import re
from collections.abc import Callable, MutableMapping
from typing import Any

import structlog
from structlog.typing import Processor

REMOVED = "[removed]"
_NAMES = (
    "access_token|refresh_token|registration_access_token|id_token|api_token|token|client_secret|secret|password"
    "|code|code_verifier|state|accountid|account_number|account|MAID|ocp-apim-subscription-key|subscription_key"
)
Replacement = str | Callable[[re.Match[str]], str]


def _tail(removed: str) -> Callable[[re.Match[str]], str]:
    """Group 2, where there is one, gives way. The rule takes in what has none, so that each letter is read once only."""
    return lambda match: match[1] + removed if match[2] else match[0]


_RULES: tuple[tuple[re.Pattern[str], Replacement], ...] = (
    # user:password@ in postgres://, redis:// and friends
    (re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*+)(://[^/\s@'\"]+@)?"), _tail(f"://{REMOVED}@")),
    # a query string, of a full address or of a path
    (re.compile(r"((?:https?:/|\B)/[^\s?'\"<>]*+)(\?[^\s'\"<>]*)?"), _tail(f"?{REMOVED}")),
    (re.compile(r"(/letters/unsubscribe/)[^/\s'\"?]+"), rf"\1{REMOVED}"),
    (re.compile(r"(/(?:Notification|Webhook)/[^/\s'\"]+/)[^/\s'\"?]+"), rf"\1{REMOVED}"),
    (re.compile(r"\b(Bearer|Basic|Token)\s+[A-Za-z0-9._~+/=-]{8,}", re.I), rf"\1 {REMOVED}"),
    (re.compile(r"\bsmm_[A-Za-z0-9_-]{16,}"), REMOVED),  # a token of our own API
    (re.compile(rf"(['\"](?:{_NAMES})['\"]\s*:\s*)(?:['\"][^'\"]*['\"]?|[^\s,}}]+)", re.I), rf"\1{REMOVED}"),
    (re.compile(rf"\b({_NAMES})=[^\s&,;'\")]+", re.I), rf"\1={REMOVED}"),
)
_CONTROL = {code: f"\\x{code:02x}" for code in (*range(0x09), *range(0x0B, 0x20), 0x7F, 0x85, 0x2028, 0x2029)} | {
    0x0A: "\\n"
}


def redact(text: str) -> str:
    """The text without what must not be written down."""
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return text


def _clean(value: Any, *, one_line: bool = True) -> Any:
    if isinstance(value, str):
        cleaned = redact(value)
        return cleaned.translate(_CONTROL) if one_line else cleaned
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, dict):
        return {str(key): _clean(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set):
        return [_clean(inner) for inner in value]
    return _clean(str(value))


def redact_event(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """structlog processor: every value through `redact`; only a traceback may keep its line breaks."""
    for key in list(event):
        if not key.startswith("_"):
            event[key] = _clean(event[key], one_line=key != "exception")
    return event


def configure(config: dict[str, Any]) -> None:
    """What Django calls with LOGGING = {"level": "INFO", "as_json": bool}: all loggers to one redacted stream."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    plain = structlog.dev.ConsoleRenderer(colors=False)
    render = structlog.processors.JSONRenderer() if config["as_json"] else plain
    formatter = {
        "()": structlog.stdlib.ProcessorFormatter,
        "foreign_pre_chain": shared,
        "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, redact_event, render],
    }
    logging.config.dictConfig(_dict_config(formatter, config["level"]))
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def _dict_config(formatter: dict[str, Any], level: str) -> dict[str, Any]:
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"event": formatter},
        "handlers": {"stdout": {"class": "logging.StreamHandler", "stream": "ext://sys.stdout", "formatter": "event"}},
        "root": {"handlers": ["stdout"], "level": level},
        "loggers": {
            # Django's own handlers off: its error mail shows settings, local variables and query strings
            "django": {"handlers": [], "level": "INFO", "propagate": True},
            "django.server": {"handlers": [], "level": "WARNING", "propagate": True},  # our request line says it
            "urllib3": {"level": "WARNING"},  # its DEBUG lines carry whole addresses
        },
    }
