"""A utility that answers what a test tells it to, over the real HTTP client: for answers no sandbox would give."""

import json
import threading
from dataclasses import dataclass, field

from tests.wsgi_adapter import WsgiAdapter


@dataclass
class StandIn:
    """`answers`: part of a path -> answers given one after another, the last one for ever. `asked`: every request."""

    answers: dict[str, list] = field(default_factory=dict)
    asked: list[dict] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def adapter(self) -> WsgiAdapter:
        """To be mounted."""
        return WsgiAdapter(self)

    def says(self, part: str, *answers) -> None:
        """An answer is (status, body, headers), or a callable that gives one."""
        self.answers[part] = list(answers)

    def paths(self, part: str = "") -> list[str]:
        """The paths asked for, with their queries."""
        return [each["path"] for each in self.asked if part in each["path"]]

    def __call__(self, environ, start_response):
        path = environ["PATH_INFO"] + (f"?{environ['QUERY_STRING']}" if environ["QUERY_STRING"] else "")
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        with self.lock:
            self.asked.append({"path": path, "token": environ.get("HTTP_AUTHORIZATION", ""), "body": body.decode()})
            answer = self._next(path)
        status, content, headers = answer() if callable(answer) else answer
        content = json.dumps(content).encode() if isinstance(content, dict) else content
        kind = "application/json" if content[:1] == b"{" else "application/atom+xml"
        given = {"Content-Type": kind, "Content-Length": str(len(content))} | headers
        start_response(f"{status} Whatever", list(given.items()))
        return [content]

    def _next(self, path: str):
        for part, answers in self.answers.items():
            if part in path:
                return answers.pop(0) if len(answers) > 1 else answers[0]
        return 404, b"", {}


def token(name="new", refresh="refresh-new", **more) -> tuple:
    """A token answer as Con Edison gives it."""
    body = {"access_token": name, "token_type": "Bearer", "expires_in": 3600, "scope": ""} | more
    if refresh:
        body["refresh_token"] = refresh
    return 200, body, {}


def refusal(error="invalid_grant", status=400) -> tuple:
    """RFC 6749 §5.2."""
    return status, {"error": error}, {}


def feed(subscription="976", *, start=1773979200, values=(1, 2, 3), point="4100000001") -> bytes:
    """Hourly electricity in Wh, each reading an hour after the other, in one block."""
    base = f"https://utility.example/resource/Subscription/{subscription}/UsagePoint/{point}"
    readings = "".join(
        "<IntervalReading><timePeriod><duration>3600</duration>"
        f"<start>{start + 3600 * number}</start></timePeriod><value>{value}</value></IntervalReading>"
        for number, value in enumerate(values)
    )
    kind = "https://utility.example/resource/ReadingType/1"
    entries = {
        base: "<UsagePoint><ServiceCategory><kind>0</kind></ServiceCategory></UsagePoint>",
        kind: "<ReadingType><accumulationBehaviour>4</accumulationBehaviour><commodity>1</commodity>"
        "<flowDirection>1</flowDirection><intervalLength>3600</intervalLength><kind>12</kind>"
        "<powerOfTenMultiplier>0</powerOfTenMultiplier><uom>72</uom></ReadingType>",
        f"{base}/MeterReading/1": "<MeterReading/>",
        f"{base}/MeterReading/1/IntervalBlock/1": "<IntervalBlock><interval><duration>86400</duration>"
        f"<start>{start}</start></interval>{readings}</IntervalBlock>",
    }
    written = "".join(
        f'<entry><link rel="self" href="{href}"/>'
        + (f'<link rel="related" href="{kind}"/>' if href.endswith("MeterReading/1") else "")
        + f"<content>{content.replace('>', ' xmlns=$>', 1).replace('/ xmlns=$>', ' xmlns=$/>')}</content></entry>"
        for href, content in entries.items()
    ).replace("$", '"http://naesb.org/espi"')
    return f'<feed xmlns="http://www.w3.org/2005/Atom"><updated>2026-03-20T06:00:00Z</updated>{written}</feed>'.encode()
