"""`make messages`: bring the texts of the sources into every catalogue, compile them, and say what is missing."""

import os
import sys


def main() -> int:
    """0, also where translations are missing: the tests are what complains."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
    os.environ.setdefault("SECRET_KEY", "only to read templates")
    import django

    django.setup()
    from tests.messages import catalogues, sources

    found = sources.messages()
    for locale in catalogues.PLURALS:
        catalogue = catalogues.update(locale, found)
        missing = catalogues.missing(catalogue)
        print(f"{locale}: {len(catalogue)} texts, {len(missing)} not translated")
    return 0


if __name__ == "__main__":
    sys.exit(main())
