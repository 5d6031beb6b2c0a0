"""The API described in plain words, from its own OpenAPI document; no script and nothing from elsewhere."""

from functools import cache
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from portal import limits
from portal.api.operations import api


@require_safe
def describe(request: HttpRequest) -> HttpResponse:
    """What can be asked for; anybody may read it."""
    context = {
        "operations": operations(),
        "base": settings.PORTAL_BASE_URL.rstrip("/"),
        "most": limits.API_CALLS_AN_HOUR,
    }
    return render(request, "portal/api.html", context)


@cache
def operations() -> list[dict[str, Any]]:
    """Address, summary, words and parameters of each operation, in the document's order.

    They are declared in code, in English, and stay the same for as long as this process runs.
    """
    document = api.get_openapi_schema()
    schemas = document["components"]["schemas"]
    return [
        {
            "path": path,
            "summary": told["summary"],
            "words": told["description"],
            "parameters": [_parameter(each) for each in told.get("parameters", [])],
            "fields": _fields(told["responses"][200]["content"]["application/json"]["schema"], schemas),
        }
        for path, methods in document["paths"].items()
        for told in methods.values()
    ]


def _parameter(told: dict[str, Any]) -> dict[str, Any]:
    schema = told["schema"]
    return {
        "name": told["name"],
        "is_required": told.get("required", False),
        "words": told.get("description") or schema.get("description", ""),
        "default": schema.get("default"),
    }


def _fields(schema: dict[str, Any], schemas: dict[str, Any]) -> list[dict[str, str]]:
    """Name and words of each field of the answer, or of each member of a list."""
    reference = schema.get("$ref") or schema.get("items", {}).get("$ref", "")
    told = schemas.get(reference.rpartition("/")[2], {}).get("properties", {})
    return [{"name": name, "words": each.get("description", "")} for name, each in told.items()]
