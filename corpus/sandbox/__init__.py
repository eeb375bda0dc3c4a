"""The process that touches pages, and the guard that starts, watches and restarts it."""
