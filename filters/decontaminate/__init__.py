"""Items of benchmarks in pages: an index of the items, the search for them, and the stage."""

from filters.decontaminate.stage import Decontaminate

__all__ = ["Decontaminate"]
