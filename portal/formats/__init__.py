"""Dates and numbers by language. Where a language has no file here, Django's own holds (fr-ca: 26 novembre 2026; 1 234,5)."""
