"""A finished run under other limits, or without pages that were taken down: explain, what-if, differences, replay."""
