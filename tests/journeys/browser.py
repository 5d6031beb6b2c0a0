"""A browser without a screen: reads pages and posts their forms, over real WSGI calls, with cookies and redirects.

It knows only what a person sees: links, labels, buttons. The same class walks the portal and the utilities' pages.
"""

from urllib.parse import urljoin

import lxml.html
import requests
from requests import Response
from requests.adapters import BaseAdapter


class Browser:
    """`page` is the parsed current page, `response` the answer that brought it, `trail` every address on the way.

    A redirect to an address that begins with `hold` is not followed but kept in `held`.
    """

    def __init__(self, mounts: dict[str, BaseAdapter]) -> None:
        """`mounts`: an adapter per address prefix. Anything else cannot be reached."""
        self.http = requests.Session()
        self.http.trust_env = False
        self.http.adapters.clear()
        for prefix, adapter in mounts.items():
            self.http.mount(prefix, adapter)
        self.trail: list[str] = []
        self.hold: str | None = None
        self.held = ""
        self.response: Response | None = None
        self.page: lxml.html.HtmlElement | None = None

    @property
    def url(self) -> str:
        """The address of the current page."""
        return self.response.url

    @property
    def text(self) -> str:
        """The words of the page, single spaces between them."""
        return " ".join(self.page.text_content().split())

    @property
    def heading(self) -> str:
        """The one h1."""
        (heading,) = self.page.xpath("//h1")
        return " ".join(heading.text_content().split())

    def get(self, url: str, **kwargs) -> "Browser":
        """Type an address."""
        return self._follow(self.http.get(url, allow_redirects=False, **kwargs))

    def raw(self, method: str, url: str, **kwargs) -> Response:
        """One request of one's own making with this browser's cookies; follows nothing and leaves the page as it is."""
        return self.http.request(method, url, allow_redirects=False, **kwargs)

    def click(self, words: str) -> "Browser":
        """Follow the link, or press the button, that says this."""
        for link in self.page.xpath("//a[@href]"):
            if words in " ".join(link.text_content().split()):
                return self.get(urljoin(self.url, link.get("href")))
        return self.press(words)

    def press(self, words: str = "", **fields) -> "Browser":
        """Fill in fields by name (a list ticks boxes), then press the button that says this (or the form's only one)."""
        form, button = self._button(words)
        data = self._values(form, fields)
        if button.get("name"):
            data.append((button.get("name"), button.get("value", "")))
        address = urljoin(self.url, button.get("formaction") or form.get("action") or self.url)
        headers = {"Referer": self.url, "Origin": origin(self.url)}
        if form.get("method", "get").lower() == "post":
            return self._follow(self.http.post(address, data=data, headers=headers, allow_redirects=False))
        return self._follow(self.http.get(address, params=data, headers=headers, allow_redirects=False))

    def _button(self, words: str) -> tuple:
        for button in self.page.xpath("//form//button | //form//input[@type='submit']"):
            said = " ".join((button.text_content() or button.get("value", "")).split())
            if words and words not in said:
                continue
            form = next(button.iterancestors("form"))
            if words or self.page.xpath("//main").__len__() == 0 or any(a.tag == "main" for a in form.iterancestors()):
                return form, button
        raise AssertionError(f"no button says {words!r} on {self.url}:\n{self.text[:800]}")

    @staticmethod
    def _values(form, fields: dict) -> list[tuple[str, str]]:
        named = {element.get("name") for element in form.xpath(".//*[@name]")}
        missing = set(fields) - named
        assert not missing, f"no field called {missing} in the form; it has {named}"
        values = [(name, value) for name, value in form.form_values() if name not in fields]
        for name, value in fields.items():
            values += [(name, one) for one in (value if isinstance(value, list) else [value])]
        return values

    def _follow(self, response: Response) -> "Browser":
        for _ in range(20):
            self.trail.append(response.url)
            if response.status_code not in (301, 302, 303):
                break
            target = urljoin(response.url, response.headers["Location"])
            if self.hold and target.startswith(self.hold):
                self.held = target
                break
            response = self.http.get(target, allow_redirects=False)
        else:
            raise AssertionError(f"redirected for ever: {self.trail[-5:]}")
        self.response = response
        self.page = lxml.html.fromstring(response.content or b"<html><body></body></html>")
        return self


def origin(url: str) -> str:
    """Scheme, host and port."""
    return "/".join(url.split("/")[:3])
