"""`corpus tune` and `corpus diff`, printed for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from corpus.revise.differences import Diff, Returned
from corpus.revise.takedowns import Found
from corpus.revise.what_if import WhatIf
from jobs.runner.console import print_line
from jobs.runner.terminal import counted

_SHOWN_URLS = 50


def show_tuned(found: WhatIf, console: Console) -> None:
    """Print the totals, the changed rules, the moves, and URLs of pages lost, gained or open."""
    for line in found.changes or ["nothing changes: the run already has these limits"]:
        print_line(console, line)
    console.print()
    least, most = found.kept
    now = f"{least:,}" if found.exact else f"{least:,} to {most:,}. `--write` gives the exact number."
    print_line(console, f"kept {found.before:,} → {now}", "bold")
    certain, passing = found.passing
    if passing > certain:
        why = "They ended at a changed rule, and their later measures are unknown."
        print_line(console, f"{counted(passing - certain, 'open page')}. {why}", "dim")
    if found.repeats:
        why = f"How many of them are duplicates is unknown ({found.repeats})."
        print_line(console, f"{counted(certain, 'page')} pass every rule. {why}", "dim")
    if found.rules.num_rows:
        console.print()
        console.print(_rules(found))
        for line in _LEGEND:
            print_line(console, f" {line}", "dim")
    if found.moves.num_rows:
        console.print()
        _show_moves(("ended at", "would end at"), found.moves.to_pylist(), 12, console)
    for row in found.together.to_pylist():
        if len(row["rules"]) > 1:
            rules = " + ".join(row["rules"])
            print_line(console, f"{row['kind']} by several rules at once: {row['documents']:,}  {rules}")
    for kind in ("lost", "gained", "open"):
        rows = [row for row in found.examples.to_pylist() if row["kind"] == kind]
        if rows:
            console.print()
            print_line(console, f"{kind}, for example", "bold")
        for row in rows:
            print_line(console, f"  {row['rule']} {row['value']}  {row['url'] or row['id']}")


_LEGEND = (
    "lost, gained: pages that are no longer kept, or now pass every rule; in brackets, by this rule alone",
    "open: dropped here before, and what later rules say is unknown",
    "held: dropped here before, and another rule drops them now",
)
"""The meanings of the columns of the changed rules."""


def _rules(found: WhatIf) -> Table:
    table = Table("rule", "lost", "gained", "open", "held", "text", box=None, header_style="dim")
    for row in found.rules.to_pylist():
        moved = [f"{row[name]:,} ({row[f'{name}_by_it_alone']:,})" for name in ("lost", "gained")]
        text = f"{_size(row['gained_bytes'] - row['lost_bytes'])}{' or more' if row['unsized'] else ''}"
        still = f"{row['open']:,}", f"{row['held_by_others']:,}"
        table.add_row(row["rule"], *moved, *still, text)
    return table


def _size(count: int) -> str:
    """Return a change of a number of bytes for people."""
    return f"{count / 1e6:+,.2f} MB" if abs(count) >= 1e6 else f"{count / 1e3:+,.1f} kB" if count else "0"


def show_diff(found: Diff, names: tuple[str, str], console: Console) -> None:
    """Print how many documents moved, each move with its first URL, and how many texts changed. `names` are those of
    the runs.
    """
    for line in found.recipe:
        print_line(console, line)
    (documents, others), (kept, now) = found.documents, found.kept
    print_line(console, f"records {documents:,} → {others:,}, kept {kept:,} → {now:,}", "bold")
    print_line(console, f"{counted(found.same, 'record')} ended at the same rule in both runs")
    _show_moves(names, found.as_dict()["moves"], 30, console)
    same = f"Pages kept in both runs: {found.same_text:,} have the same text, {found.other_text:,} have another text."
    print_line(console, same)
    for url in found.text_examples:
        print_line(console, f"  {url}")


def show_removal(
    found: Sequence[Found], pages: Sequence[str], copies: Sequence[dict[str, Any]], copies_go: bool,
    back: Sequence[Returned], console: Console,
) -> None:  # fmt: skip
    """Print the result of a takedown.

    It has each entry that found nothing, with similar URLs or domains; pages that stay though an entry that found
    others may have meant them; the removed pages; their copies; and the pages that come back because a removed page had
    displaced them.
    """
    for one in found:
        if one.nothing:
            print_line(console, f"{one.entry.text} matches no page.{' Near it:' if one.near else ''}", "red")
            _show_urls(one.near, console)
        elif one.stays:
            print_line(console, _staying(one), "red")
            _show_urls(one.stays, console)
    unmatched = sum(one.nothing for one in found)
    if len(found) == 1 and not unmatched:
        matched = "matches" if found[0].listed else f"matches {counted(found[0].pages + found[0].before, 'page')}"
        print_line(console, f"1 entry, and it {matched}.", "bold")
    elif found:
        which = f"{unmatched:,} of them match no page" if unmatched else "each matches a page"
        print_line(console, f"{counted(len(found), 'entry', 'entries')}, {which}.", "bold")
    if pages:
        print_line(console, f"{counted(len(pages), 'page')} removed:")
        _show_urls(pages, console)
    if copies:
        end = "go too" if copies_go else "are kept, in the corpus or as duplicates"
        print_line(console, f"Other pages with the text of a removed page {end}: {len(copies):,}")
        _show_urls([row["url"] or row["id"] for row in copies], console)
    if back:
        why = "because the page that they repeated is removed"
        print_line(console, f"Pages that come back, or get lines back, {why}: {len(back):,}")
        _show_urls([one.url or one.id for one in back], console)
    if back or (copies and not copies_go):
        print_line(console, "To remove them too, give a list of their URLs. --copies removes such pages at once.")


def _staying(one: Found) -> str:
    """Return a hint at pages that stay though the author of an entry may have meant them."""
    if one.wider:
        what = f"{one.wider} has {counted(len(one.stays), 'more page')}"
        return f"{one.entry.text} does not cover {one.wider}. {what}; list {one.wider} to remove {_them(one)} too:"
    return f"{one.entry.text} is also written in another way. List {_them(one)} too if you mean {_them(one)}:"


def _them(one: Found) -> str:
    return "it" if len(one.stays) == 1 else "them"


def _show_urls(urls: Sequence[str], console: Console) -> None:
    for url in urls[:_SHOWN_URLS]:
        print_line(console, f"  {url}")
    if len(urls) > _SHOWN_URLS:
        print_line(console, f"  and {len(urls) - _SHOWN_URLS:,} more; --json prints all of them", "dim")


def _show_moves(names: tuple[str, str], rows: list[dict[str, Any]], most: int, console: Console) -> None:
    """Print the first `most` moves, each with its first URL below it if there is one. `names` head the two columns of
    rules.
    """
    shown = [(row["from"], row["to"], f"{row['documents']:,}") for row in rows[:most]]
    widths = [max(map(len, column)) for column in zip(names, *(one[:2] for one in shown), strict=True)]
    lines = [(*names, "records"), *shown]
    urls = [[], *(row.get("examples", [])[:1] for row in rows[:most])]
    for number, ((old, new, count), examples) in enumerate(zip(lines, urls, strict=True)):
        if rows:
            print_line(console, f" {old:{widths[0]}}  {new:{widths[1]}}  {count}", "" if number else "dim")
        for url in examples:
            print_line(console, f"   for example {url}", "dim")
    if len(rows) > most:
        print_line(console, f"and {len(rows) - most:,} more; --json prints all of them", "dim")
