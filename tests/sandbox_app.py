"""The sandbox's application in process, as if it were new.

Making its routes and compiling its pages takes longer than most tests do. So an application goes from one test to the
next, with a store, a clock and a configuration that are the next one's own.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import flask

from utilities.sandbox import utilityapi
from utilities.sandbox.app import Config, create_app, make_sandbox
from utilities.sandbox.context import Sandbox

FREE: list[flask.Flask] = []
TAKEN: list[flask.Flask] = []


def take(config: Config) -> flask.Flask:
    """One that nobody else uses, until the end of the innermost `given_back`."""
    new = make_sandbox(config)
    fitting = [app for app in FREE if _plays_the_same(app.extensions["sandbox"], new)]
    if fitting:
        app = fitting[-1]
        FREE.remove(app)
    else:
        app = create_app(Config())
    _begin(app.extensions["sandbox"], new)
    TAKEN.append(app)
    return app


@contextmanager
def given_back() -> Iterator[None]:
    """Whatever is taken inside is free again afterwards."""
    before = len(TAKEN)
    yield
    FREE.extend(TAKEN[before:])
    del TAKEN[before:]


def _plays_the_same(one: Sandbox, other: Sandbox) -> bool:
    """A test may add a utility."""
    return (one.utilities, one.hosts) == (other.utilities, other.hosts)


def _begin(sandbox: Sandbox, new: Sandbox) -> None:
    sandbox.store.close()
    sandbox.config, sandbox.store, sandbox.born = new.config, new.store, new.born
    utilityapi.register_public_clients(sandbox)
