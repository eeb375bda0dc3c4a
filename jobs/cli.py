"""The command line: one verb per job. Text for people goes to stderr, JSON for programs (`--json`) to stdout.

Exit codes: 0 done; 1 an expected failure; 2 wrong usage; 3 done, but units are quarantined, or entries of a takedown
found no page; 4 stopped by an alarm; 70 a bug of ours (its traceback is in a file); 130 and 143 interrupted, and the
same command continues.
"""

from __future__ import annotations

import os
import sys
import tempfile
import traceback

import click

from corpus.errors import ConfigError, CorpusError, no_room
from jobs.runner.engine import AtOnce
from jobs.verbs import look, make, models, steer, tokenizing


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="corpus")
def cli() -> None:
    """From Common Crawl WARC to training text in which every record is accounted for."""


for verb in (
    make.build_command, make.sample_command, make.blocklist_group,
    look.explain_command, look.ls_command, look.verify_command, look.report_command,
    look.stages_command, look.recipes_group,
    steer.tune_command, steer.diff_command, steer.remove_command,
    tokenizing.tokenizer_group, tokenizing.tokenize_command, tokenizing.export_command,
    models.train_command, models.generate_command,
):  # fmt: skip
    cli.add_command(verb)


def main() -> None:
    """Run the command line. An expected failure prints what is wrong and what to do."""
    try:
        cli(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except AtOnce as stopped:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(stopped.code)  # Python itself would wait for threads that still work
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except Exception as error:
        expected = no_room(error, error.filename or "The disk") if isinstance(error, OSError) else error
        if isinstance(expected, CorpusError):
            print(f"Error: {expected}", file=sys.stderr)
            sys.exit(2 if isinstance(expected, ConfigError) else 1)
        with tempfile.NamedTemporaryFile("w", prefix="corpus-bug-", suffix=".txt", delete=False) as file:
            traceback.print_exc(file=file)
        print(f"This is a bug in corpus. Please report it with {file.name}", file=sys.stderr)
        sys.exit(70)


if __name__ == "__main__":
    main()
