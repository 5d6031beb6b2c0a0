"""A transport adapter that calls a WSGI program in process: `session.mount(prefix, WsgiAdapter(program))`.

No sockets and no patching; everything between `requests` and the program is real. A client certificate set on the
session reaches the program as a TLS server would hand it on (SSL_CLIENT_VERIFY, SSL_CLIENT_CERT).
"""

import io
import sys
from email.message import Message
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import unquote_to_bytes, urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPHeaderDict, HTTPResponse


class WsgiAdapter(HTTPAdapter):
    """`program` is any WSGI application. `errors` collects what it wrote to wsgi.errors."""

    def __init__(self, program) -> None:
        super().__init__()
        self.program = program
        self.errors = io.StringIO()

    def send(self, request, stream=False, timeout=None, verify=True, cert=None, proxies=None) -> requests.Response:
        """Call the program; its whole body is read, and its response closed, before this returns."""
        answer = {}

        def start_response(status, headers, exc_info=None):
            if exc_info:
                raise exc_info[1].with_traceback(exc_info[2])
            answer.update(status=status, headers=headers)

        produced = self.program(self.environ(request, cert), start_response)
        try:
            body = b"".join(produced)
        finally:
            if hasattr(produced, "close"):
                produced.close()
        return self.build_response(request, raw_response(request, answer["status"], answer["headers"], body))

    def environ(self, request, cert) -> dict:
        parts = urlsplit(request.url)
        body = request.body or b""
        body = body.encode() if isinstance(body, str) else body
        environ = {
            "REQUEST_METHOD": request.method,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote_to_bytes(parts.path or "/").decode("latin-1"),
            "RAW_URI": parts.path + (f"?{parts.query}" if parts.query else ""),
            "QUERY_STRING": parts.query,
            "SERVER_NAME": parts.hostname,
            "SERVER_PORT": str(parts.port or {"http": 80, "https": 443}[parts.scheme]),
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "127.0.0.1",
            "HTTP_HOST": parts.netloc,
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": parts.scheme,
            "wsgi.input": io.BytesIO(body),
            "wsgi.errors": self.errors if not sys.flags.verbose else sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }
        for name, value in request.headers.items():
            key = name.upper().replace("-", "_")
            environ[key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"] = text(value)
        if cert:
            environ["SSL_CLIENT_VERIFY"] = "SUCCESS"
            environ["SSL_CLIENT_CERT"] = Path(cert if isinstance(cert, str) else cert[0]).read_text()
        return environ


def text(value) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value


def raw_response(request, status: str, headers: list, body: bytes) -> HTTPResponse:
    """What urllib3 would have received."""
    code, _, reason = status.partition(" ")
    message = Message()
    for name, value in headers:
        message.add_header(name, value)
    return HTTPResponse(
        body=io.BytesIO(b"" if request.method == "HEAD" else body),
        headers=HTTPHeaderDict(headers),
        status=int(code),
        reason=reason,
        version=11,
        request_method=request.method,
        preload_content=False,
        original_response=SimpleNamespace(msg=message, isclosed=lambda: True, close=lambda: None),
    )
