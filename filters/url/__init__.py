"""The URL filter: block lists of domains and URLs, and words that are banned in URLs."""
