"""The commands of the command line, by topic. `jobs/cli.py` lists them."""
