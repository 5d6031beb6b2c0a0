"""The platforms the sandbox plays, in display order."""

from types import ModuleType

from utilities.sandbox import coned, pge, utilityapi

PLATFORMS: tuple[ModuleType, ...] = (coned, pge, utilityapi)
