"""The texts people meet, and their translations: found in the sources, brought into `locale/`, checked by the tests.

Pure Python (Babel, polib): GNU gettext is not needed.
"""
