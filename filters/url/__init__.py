"""The URL filter: block lists of domains and URLs, and words that are banned in URLs."""

from filters.url.url_filter import Url

__all__ = ["Url"]
