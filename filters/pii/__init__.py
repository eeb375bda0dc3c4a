"""The PII stage: it finds personal data in a text and replaces it."""

from filters.pii.personal_data import Pii

__all__ = ["Pii"]
