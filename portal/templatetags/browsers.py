"""What people call the browser behind a User-Agent header."""

from django import template
from django.utils.translation import gettext as _

register = template.Library()
# Each says the names of those below it as well.
BROWSERS = {
    "Edg": "Edge",
    "OPR": "Opera",
    "Firefox": "Firefox",
    "FxiOS": "Firefox",
    "Chrom": "Chrome",
    "CriOS": "Chrome",
    "Safari": "Safari",
}
SYSTEMS = {
    "iPhone": "iPhone",
    "iPad": "iPad",
    "Android": "Android",
    "Windows": "Windows",
    "CrOS": "ChromeOS",
    "Mac OS": "Mac",
    "Linux": "Linux",
}


@register.filter
def browser_name(user_agent: str) -> str:
    """`Chrome on Windows`; the beginning of what it says of itself, where it is none of those."""
    browser, system = (_first(names, user_agent) for names in (BROWSERS, SYSTEMS))
    if not browser or not system:
        return user_agent[:60]
    # Translators: a browser and where it runs, as in "Chrome on Windows".
    return _("{browser} on {system}").format(browser=browser, system=system)


def _first(names: dict[str, str], user_agent: str) -> str:
    return next((name for sign, name in names.items() if sign in user_agent), "")
