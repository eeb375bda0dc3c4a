"""The built-in sample crawl: generated pages, good and bad, in one damaged archive."""
