"""A run in a browser: its funnel and limits, its pages, another run beside it, judgements, and its progress."""
