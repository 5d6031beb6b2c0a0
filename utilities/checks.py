"""System checks of the utilities."""
