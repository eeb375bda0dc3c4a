"""What a page, its server and its site say about its use: opt-outs and licences."""

from filters.rights.stage import Rights

__all__ = ["Rights"]
