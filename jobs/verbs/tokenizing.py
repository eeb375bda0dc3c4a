"""`tokenizer train|show|compare`, `tokenize`, `export`: from a corpus to training files."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from corpus.errors import ConfigError
from corpus.storage.store import Location
from jobs.runner.terminal import say, show_json
from jobs.verbs.options import (
    SEED,
    Finite,
    Where,
    console,
    engine_options,
    folder_type,
    json_option,
    location_type,
    name_type,
    need_torch,
    print_as,
)

if TYPE_CHECKING:
    from corpus.tokens.tokenizer import Tokenizer
    from jobs.runner.execution import JobResult

_VOCAB_DIR = "Folder with the vocabulary files of gpt2, cl100k and o200k, if they are not in tiktoken's cache."
_FORMAT = "flat: .bin and document index. megatron: also Megatron-LM's .idx. parquet: id and tokens."
_FOR = (
    "nanochat: shards of texts, the last for validation. datasets: all columns, two splits, a data card. "
    "jsonl: JSON Lines in Dolma's form, zstd. parquet: columns of your choice. "
    "transformers: a model, its tokenizer and a chat template."
)

texts_argument = click.argument("folder", metavar="DIR", type=location_type)
out_option = click.option("-o", "--out", required=True, type=location_type, help="Output folder, or an s3:// URL.")
shuffle_option = click.option("--seed", type=SEED, default=0, show_default=True, help="Seed for the shuffle.")
vocab_option = click.option("--vocab-dir", type=folder_type, envvar="CORPUS_VOCAB_DIR", help=_VOCAB_DIR)


@click.group("tokenizer")
def tokenizer_group() -> None:
    """Learn, show and compare tokenizers.

    Name a tokenizer by its folder, by its tokenizer.json, or as gpt2, cl100k or o200k.
    """


@tokenizer_group.command("train")
@texts_argument
@out_option
@click.option(
    "--vocab-size",
    type=click.IntRange(1, 2**31),
    default=32768,
    show_default=True,
    help="Number of ids, special ids included.",
)
@click.option("--max-chars", type=click.IntRange(min=1), help="Characters to learn from. Default: 2 billion.")
@json_option
def train_command(folder: Location, out: Location, vocab_size: int, max_chars: int | None, as_json: bool) -> None:
    """Learn a byte-level BPE from texts.

    DIR is a finished run, or a folder of parquet files with a column `text`.

    \b
    Example: corpus tokenizer train out -o tok --vocab-size 32768
    """
    from jobs.tokens.tokenizers import MOST_CHARS, train

    facts = train(folder, out, vocab_size, max_chars or MOST_CHARS)
    if as_json:
        show_json({name: facts[name] for name in ("vocab_size", "specials", "sha256")})
    specials = len(facts["specials"])
    say(f"{out}/tokenizer.json: {facts['vocab_size']:,} ids, {specials} of them special")
    say(f'Look at it: corpus tokenizer show {out} "Hello world"')


@tokenizer_group.command("show")
@click.argument("tokenizer")
@click.argument("text")
@vocab_option
@json_option
def show_command(tokenizer: str, text: str, vocab_dir: Path | None, as_json: bool) -> None:
    """Print the tokens of a text in colors, with their ids. If TEXT is -, read the text from stdin.

    \b
    Example: corpus tokenizer show tok "Hello world"
    """
    from corpus.tokens.load_tokenizer import load_tokenizer
    from jobs.tokens.tokenizers import show_tokens, tokens_of

    if text == "-":
        text = sys.stdin.buffer.read().decode("utf-8", "surrogateescape")
    found = tokens_of(load_tokenizer(tokenizer, vocab_dir), text)
    if as_json:
        show_json([{"id": one.id, "text": one.text, "bytes": one.bytes.hex()} for one in found])
    else:
        print_as(found, show_tokens, as_json)


@tokenizer_group.command("compare")
@click.argument("tokenizers", nargs=-1, required=True)
@click.option("--on", "folder", required=True, type=location_type, help="Finished run, or folder of parquet files.")
@vocab_option
@json_option
def compare_command(tokenizers: tuple[str, ...], folder: Location, vocab_dir: Path | None, as_json: bool) -> None:
    """Print the bytes of text per token, by language.

    \b
    Example: corpus tokenizer compare tok gpt2 cl100k o200k --on out
    """
    from corpus.tokens.load_tokenizer import load_tokenizer
    from jobs.tokens.tokenizers import compare, show_comparison

    loaded = [load_tokenizer(name, vocab_dir) for name in tokenizers]
    if len({one.name for one in loaded}) < len(loaded):
        raise ConfigError("Two tokenizers have the same name.", "Rename a folder.")
    rows = compare(loaded, folder, report=lambda line: say(line))
    print_as(rows, show_comparison, as_json)


def finished(result: JobResult, out: Location) -> dict[str, Any]:
    """Print how a job ended, and return the content of its last file. If the job was interrupted, exit."""
    if result.exit_code:
        say(f"Interrupted. Run the same command again to continue. Folder: {out}")
        sys.exit(result.exit_code)
    if result.already_done:
        say(f"{out} is already complete.")
    assert result.info is not None
    return result.info


@click.command("tokenize")
@click.argument("folder", metavar="DIR|MIXTURE", type=location_type)
@click.option("-o", "--out", type=location_type, help="Output folder, or an s3:// URL.")
@click.option("--tokenizer", type=name_type, required=True, help="Folder or tokenizer.json, or gpt2, cl100k, o200k.")
@click.option("--format", "layout", type=click.Choice(["flat", "megatron", "parquet"]), default="flat",
              show_default=True, help=_FORMAT)  # fmt: skip
@click.option("--val-share", type=Finite(0, 1, max_open=True), help="Share of documents for validation. Default: about "
              "0.01.")  # fmt: skip
@shuffle_option
@click.option("--file-tokens", type=click.IntRange(min=1), help="Tokens per file. Default: 100 million.")
@vocab_option
@click.option("--dry-run", is_flag=True, help="Print an estimate for a mixture, and write nothing.")
@engine_options
@json_option
# click passes each option as a parameter of its own
def tokenize_command(
    folder: Location, out: Location | None, tokenizer: str, layout: str, val_share: float | None, seed: int,
    file_tokens: int | None, vocab_dir: Path | None, dry_run: bool, where: Where, as_json: bool,
) -> None:  # fmt: skip
    """Turn texts into shuffled files of tokens.

    The texts are those of a finished run, of a folder of parquet, or of a mixture. A mixture is a .toml
    file with sources, weights or token budgets, repeats and filters (docs/mixtures.md).

    \b
    Example: corpus tokenize out -o tokens --tokenizer tok
    Example: corpus tokenize out -o tokens --tokenizer gpt2 --vocab-dir vocab --format megatron
    Example: corpus tokenize mixture.toml --tokenizer tok --dry-run
    Example: corpus tokenize mixture.toml -o tokens --tokenizer tok
    """
    from corpus.tokens.load_tokenizer import load_tokenizer
    from jobs.runner.progress import Progress
    from jobs.tokens.mixing import show_mixture
    from jobs.tokens.tokenize import FILE_TOKENS, TokenizeJob, tokenize

    if seed and str(folder).endswith(".toml"):
        raise ConfigError("The seed of a mixture is in its file.", "Write `seed = …` in the file, without --seed.")
    loaded = load_tokenizer(tokenizer, vocab_dir)
    if dry_run:
        return _show_dry_run(folder, loaded, as_json)
    if out is None:
        raise click.UsageError("Missing option '-o' / '--out'.")
    job = TokenizeJob(folder, out, loaded, layout, seed, val_share, file_tokens or FILE_TOKENS)
    info = finished(tokenize(job, lambda: where.engine(out), Progress()), out)
    splits = info["splits"]
    if as_json:
        counts = {name: {key: split[key] for key in ("tokens", "documents", "bytes")} for name, split in splits.items()}
        mixed = {"mixture": info["mixture"]} if "mixture" in info else {}
        show_json({"splits": counts, "documents": info["documents"], **mixed})
    if "mixture" in info:
        show_mixture(info["mixture"], console)
    for name, split in splits.items():
        summary = f"{split['tokens']:,} tokens of {split['documents']:,} documents in {len(split['files'])} files"
        per_token = split["bytes"] / max(split["tokens"] - split["documents"], 1)
        say(f"{name}: {summary}, {per_token:.2f} bytes per token")
    say(f"Facts: {out}/tokens.json")


def _show_dry_run(folder: Location, tokenizer: Tokenizer, as_json: bool) -> None:
    from jobs.tokens.mixing import dry_run, show_mixture
    from jobs.tokens.sources import open_sources

    sources = open_sources(folder, 0)
    if sources.mixture is None:
        raise ConfigError("--dry-run is for mixtures.", "Give a .toml file, or leave the option out.")
    table, wrong = dry_run(sources, sources.mixture.epochs, tokenizer)
    print_as(table, show_mixture, as_json)
    say("Tokens are estimated from a sample of the texts. ± is one standard error. Documents of val are included.")
    if wrong:
        raise wrong


@click.command("export")
@texts_argument
@out_option
@click.option("--for", "target", type=click.Choice(["nanochat", "datasets", "jsonl", "parquet", "transformers"]),
              required=True,
              help=_FOR)  # fmt: skip
@shuffle_option
@click.option("--columns", metavar="NAME,…", help="Columns to write beside the text. Default: all possible columns.")
@click.option("--zstd-level", type=click.IntRange(1, 22), help="Level of compression. Default: 3.")
@click.option("--dtype", type=click.Choice(["fp32", "bf16"]), help="Type of a model's weights. Default: fp32.")
@engine_options
@json_option
# click passes each option as a parameter of its own
def export_command(
    folder: Location, out: Location, target: str, seed: int, columns: str | None, zstd_level: int | None,
    dtype: str | None, where: Where, as_json: bool,
) -> None:  # fmt: skip
    """Write texts or a model for other programs.

    The texts of a finished run, or of a folder of parquet, become shuffled files for other trainers. With --for
    transformers, a trained model becomes a folder for that library.

    \b
    Example: corpus export out -o shards --for nanochat
    Example: corpus export out -o dolma --for jsonl
    Example: corpus export out -o texts --for parquet --columns id,url,language --zstd-level 9
    Example: corpus export model -o hf --for transformers
    """
    if target in ("transformers", "nanochat") and (columns is not None or zstd_level is not None):
        raise ConfigError(f"--columns and --zstd-level are not for {target}.", "Leave them out.")
    if target == "transformers":
        return _export_model(folder_type.convert(folder, None, None), out, dtype or "fp32", as_json)
    if dtype:
        raise ConfigError("--dtype is only for --for transformers.", "Leave it out.")
    from corpus.tokens.row_files import VAL_GROUPS
    from jobs.runner.progress import Progress
    from jobs.tokens.export import SPLIT, ZSTD_LEVEL, ExportJob, export

    chosen = None if columns is None else tuple(filter(None, map(str.strip, columns.split(","))))
    job = ExportJob(folder, out, target, seed, chosen, zstd_level or ZSTD_LEVEL)
    info = finished(export(job, lambda: where.engine(out), Progress()), out)
    if as_json:
        show_json({name: info[name] for name in ("documents", "bytes", "row_group", "val_row_groups")})
    counts = info["documents"]
    validate = f" to train on, {counts['val']:,} to validate" if target in SPLIT else ""
    say(f"{out}: {counts['train']:,} documents{validate}")
    if target == "nanochat" and info["val_row_groups"] < VAL_GROUPS:
        groups = f"{info['val_row_groups']} row groups of {info['row_group']} documents"
        say(f"The last file has {groups}, and nanochat can use only one GPU for each.")


def _export_model(folder: Path, out: Location, dtype: str, as_json: bool) -> None:
    need_torch()
    from jobs.model.export import export_model

    info = export_model(folder, out, dtype)
    if as_json:
        show_json({"parameters": info["parameters"], "dtype": dtype})
    say(f"{out}: {info['parameters']:,} weights in {dtype}, tokenizer and chat template")
    say(f'Load it: transformers.AutoModelForCausalLM.from_pretrained("{out}")')
