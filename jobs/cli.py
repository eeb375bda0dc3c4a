"""The command line: one verb per job. Text for people goes to stderr, JSON for programs (`--json`) to stdout.

Exit codes: 0 done; 1 an expected failure; 2 wrong usage; 3 done, but units are quarantined, or entries of a takedown
found no page; 4 stopped by an alarm; 70 a defect of corpus itself (its traceback is in a file); 130 and 143
interrupted, and the same command continues.
"""

from __future__ import annotations

import importlib
import io
import os
import re
import sys
import tempfile

import click

from jobs.runner.terminal import say

_VERBS = {
    "build": "make:build_command",
    "sample": "make:sample_command",
    "blocklist": "make:blocklist_group",
    "robots": "make:robots_group",
    "evals": "evals:evals_group",
    "explain": "look:explain_command",
    "ls": "look:ls_command",
    "verify": "look:verify_command",
    "card": "look:card_command",
    "stages": "look:stages_command",
    "recipes": "look:recipes_group",
    "report": "look:report_command",
    "tune": "steer:tune_command",
    "diff": "steer:diff_command",
    "remove": "steer:remove_command",
    "classifier": "classifying:classifier_group",
    "tokenizer": "tokenizing:tokenizer_group",
    "tokenize": "tokenizing:tokenize_command",
    "export": "tokenizing:export_command",
    "train": "models:train_command",
    "generate": "models:generate_command",
    "probe": "models:probe_command",
    "ablate": "ablating:ablate_command",
    "finetune": "assistant:finetune_command",
    "chat": "assistant:chat_command",
    "lessons": "assistant:lessons_command",
    "index": "assistant:index_command",
    "interrogate": "assistant:interrogate_command",
    "reinforce": "reinforcing:reinforce_command",
    "reward": "reinforcing:reward_command",
    "serve": "serving:serve_command",
}
"""The file in `jobs/verbs/` and the name of each verb."""

_NEEDED = {"tune": ("--set",), "remove": ("--urls", "--domains", "--hash-urls"), "serve": ("",)}
"""The options without which a verb only prints how it is used, if these are not `-o` and `--out`."""

_FIRST_WORDS = {
    "build": "Planning…",
    "tune": "Reading the run…",
    "remove": "Reading the run…",
    "card": "Reading the corpus…",
    "classifier": "Reading the pages…",
    "tokenize": "Reading the texts…",
    "export": "Reading the texts…",
    "train": "Reading the tokens…",
    "probe": "Reading the model…",
    "ablate": "Reading the texts…",
    "finetune": "Reading the model…",
    "evals": "Reading the items…",
    "index": "Reading the texts…",
    "reinforce": "Reading the model…",
    "reward": "Reading the model…",
    "serve": "Reading the folder…",
}


_SERVER = re.compile(r"://|^CC-MAIN-\d{4}-\d\d$")
"""A URL, or the name of a crawl."""


class _Verbs(click.Group):
    """A group that imports the file of a verb only when the verb is called.

    The import takes half a second, or several seconds if the machine is busy. A verb that works for long prints a
    message before it.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _VERBS:
            return super().get_command(ctx, cmd_name)
        file, _, name = _VERBS[cmd_name].partition(":")
        command: click.Command = getattr(importlib.import_module(f"jobs.verbs.{file}"), name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        verb, needed = args[0], _NEEDED.get(args[0], ("-o", "--out"))
        starts = any(argument.startswith(needed) for argument in args[1:])
        if verb in _FIRST_WORDS and starts and not {"-h", "--help"} & set(args):
            say(_FIRST_WORDS[verb])
            if ctx.obj and verb == "build" and not _elsewhere(args):
                from jobs.runner.local_process import start_early

                start_early("filters:recipe_from_dict")
        if not verb.startswith("-") and verb not in _VERBS and self.get_command(ctx, verb) is None:
            from corpus.errors import did_you_mean

            raise click.UsageError(f"There is no command '{verb}'. {did_you_mean(verb, _VERBS)}", ctx)
        return super().resolve_command(ctx, args)


def _elsewhere(args: list[str]) -> bool:
    """Return True if a build with these arguments may run on Ray, read from a server, or stop after its plan."""
    others = any(
        argument.startswith(("--ray", "--address", "--dry-run")) or _SERVER.search(argument) for argument in args
    )
    return others or any(name.startswith("RAY_") for name in os.environ)


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="corpus")
def cli() -> None:
    """Turn Common Crawl archives into training text, and account for every record."""


def _open_streams() -> None:
    """Make stdin, stdout and stderr open, and able to take every text.

    If one were closed, the next opened file would get its number, and messages would be written into that file.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            # the lowest free number, which is this one, is used
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
            setattr(sys, name, os.fdopen(number, "w" if number else "r", encoding="utf-8"))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def program() -> None:
    """Run the command line in a process of its own."""
    main(own_process=True)


def main(own_process: bool = False) -> None:
    """Run the command line. An expected failure prints what is wrong and what to do."""
    _open_streams()
    try:
        cli(standalone_mode=False, obj=own_process)
    except click.ClickException as error:
        shown = io.StringIO()
        error.show(file=shown)
        say(shown.getvalue().rstrip("\n"))
        if isinstance(error, click.MissingParameter) and error.ctx:
            say("\n".join(re.findall("Example: .*", error.ctx.command.help or "")[:1]))
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        say("\nInterrupted.")
        sys.exit(130)
    except Exception as error:
        from corpus.errors import ConfigError, CorpusError, no_room, traced

        expected = no_room(error, error.filename or "The disk") if isinstance(error, OSError) else error
        if isinstance(expected, CorpusError):
            say(f"Error: {expected}")
            sys.exit(2 if isinstance(expected, ConfigError) else 1)
        with tempfile.NamedTemporaryFile("w", prefix="corpus-bug-", suffix=".txt", delete=False) as file:
            file.write(traced(error))
        say(f"This is a bug in corpus. Please report it with {file.name}")
        sys.exit(70)


if __name__ == "__main__":
    program()
