"""A build from inputs to run.json, and the replays and takedowns of a finished run."""
