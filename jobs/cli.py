"""The command line: one verb per job. It prints for people on stderr; `--json` prints for programs on stdout.

Exit codes: 0 fine; 1 expected failure; 2 usage; 3 finished with quarantined units; 4 stopped by an alarm; 70 our bug
(traceback in a file); 130 and 143 interrupted, resumable.
"""

from __future__ import annotations

import sys
import tempfile
import traceback

import click

from corpus.errors import ConfigError, CorpusError, no_room
from jobs.runner.at_once import AtOnce, end_at_once
from jobs.verbs import look, make, models, reports, steer, tokenizing


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="corpus")
def cli() -> None:
    """From Common Crawl WARC to training text in which every record is accounted for."""


for verb in (
    make.build_command,
    make.sample_command,
    make.blocklist_group,
    look.explain_command,
    look.verify_command,
    look.stages_command,
    look.recipes_command,
    reports.report_command,
    steer.tune_command,
    steer.diff_command,
    steer.remove_command,
    tokenizing.tokenizer_group,
    tokenizing.tokenize_command,
    models.train_command,
    models.generate_command,
    tokenizing.export_command,
):
    cli.add_command(verb)


def main() -> None:
    """The entry point: every expected failure is one sentence what and one what to do."""
    try:
        cli(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except AtOnce as stopped:
        end_at_once(stopped.code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except ConfigError as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(2)
    except CorpusError as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(1)
    except Exception as error:
        full = no_room(error, error.filename or "The disk") if isinstance(error, OSError) else None
        if full:
            print(f"Error: {full}", file=sys.stderr)
            sys.exit(1)
        with tempfile.NamedTemporaryFile("w", prefix="corpus-bug-", suffix=".txt", delete=False) as file:
            traceback.print_exc(file=file)
        print(f"This is a bug in corpus. Please report it with {file.name}", file=sys.stderr)
        sys.exit(70)


if __name__ == "__main__":
    main()
