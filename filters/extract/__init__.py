"""The main text of a web page: its bytes decoded, its markup measured, its text extracted."""

from filters.extract.extraction import Extract

__all__ = ["Extract"]
