"""Opt-outs and licences that a page, its server and its site declare."""

from filters.rights.stage import Rights

__all__ = ["Rights"]
