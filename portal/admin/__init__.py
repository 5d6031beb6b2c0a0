"""The staff site: what the standard's resources are doing, and our registrations with the utilities.

Nothing secret is ever shown. Rows are read-only unless their class says otherwise, and none is deleted by hand: they
end through flows. Each room registers its own tables.
"""

from portal.admin import connections, engine, exchange, letters, people, registrations, site

__all__ = ["connections", "engine", "exchange", "letters", "people", "registrations", "site"]
