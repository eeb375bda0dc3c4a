"""The files of a finished run, for reading: run.json, its tables, its funnel."""
