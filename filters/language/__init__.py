"""The language of a page: the screen before extraction, and identification after it."""

from filters.language.identification import Language
from filters.language.screen import LanguageScreen

__all__ = ["Language", "LanguageScreen"]
