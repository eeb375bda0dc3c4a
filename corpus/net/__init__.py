"""Access to web servers and object stores: URLs, single requests, retries, and sources that read ranges of a file."""
