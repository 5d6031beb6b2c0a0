"""The addresses of the resources of both editions."""

import flask

from utilities.sandbox import coned_call, coned_v1_resources, coned_v2_resources
from utilities.sandbox import coned_terms as terms
from utilities.sandbox.context import Sandbox

_EDITIONS = (("v1", terms.V1, coned_v1_resources.RULES), ("v2", terms.V2, coned_v2_resources.RULES))


def add_resources(sandbox: Sandbox, app: flask.Flask) -> None:
    """Routes of both editions."""
    for edition, base, rules in _EDITIONS:
        for rule in rules:
            name = f"{edition}{'/'.join(rule.methods)}{rule.path}".replace(".", "_")
            view = coned_call.view(sandbox, edition, f"{base}/resource", rule)
            address = f"{base}/resource{rule.path}"
            app.add_url_rule(address, name, view, methods=list(rule.methods), provide_automatic_options=False)
