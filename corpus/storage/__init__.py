"""Bytes by key in a folder or bucket, put-if-absent, commits, and the manifest of a finished run."""
