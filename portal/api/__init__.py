"""The read-only JSON API for the owner of the data (`/api/v1/`, described by `/api/v1/openapi.json`).

Whoever shows a customer's token sees that customer's data and no other's. Numbers are exact decimals written as text, never
floats; instants are ISO 8601 with the meter's own offset, and epoch seconds beside it.
"""
