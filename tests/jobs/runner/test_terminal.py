"""What is printed gives the terminal no orders."""

import ast
import io
import json
import sys
from pathlib import Path

import pytest
from rich.table import Table
from rich.text import Text

from jobs.runner.console import make_console, print_line, print_text
from jobs.runner.terminal import plain, say, show, show_json

ROOT = Path(__file__).resolve().parents[3]
HOSTILE = "a\x1b[31mred\x1b]0;title\x07\u202e\u2066\x9b2J\x00\x7f\rz"
ORDERS = set("\x1b\x07\x9b\x00\x7f\r\u202e\u2066")


def test_orders_are_replaced():
    assert plain("a\x1b[31mred\u202e\x00\nb") == "a\ufffd[31mred\ufffd\ufffd\ufffdb"
    assert plain("a\nb\tc", keep_lines=True) == "a\nb\tc"


def table():
    made = Table("a", "b\u202e")
    made.add_row(HOSTILE, Text(HOSTILE, style="bold"))
    return made


@pytest.mark.parametrize(
    "printer",
    [
        lambda: say(HOSTILE),
        lambda: show(HOSTILE),
        lambda: make_console().print(HOSTILE, markup=False),
        lambda: make_console().print(Text(HOSTILE)),
        lambda: make_console(stderr=True).print(Text(HOSTILE)),
        lambda: make_console().print(table()),
        lambda: show_json({HOSTILE: [HOSTILE]}),
    ],
)
def test_no_printer_passes_orders_on(printer, capsys):
    printer()
    shown = "".join(capsys.readouterr())
    assert "red" in shown
    assert not ORDERS & set(shown)


def test_json_keeps_its_values(capsys):
    show_json({"é日": HOSTILE})
    shown = capsys.readouterr().out
    assert json.loads(shown) == {"é日": HOSTILE}
    assert "é日" in shown
    assert "\\u202e" in shown


def test_a_console_keeps_its_own_styles(monkeypatch):
    out = io.StringIO()
    out.isatty = lambda: True
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    make_console().print(Text("red\x1b[2J", style="red"))
    assert "\x1b[31mred\ufffd[2J\x1b[0m" in out.getvalue()


def shown_on(width, monkeypatch, tty=True, columns=None):
    """A table and a line with long names, as printed."""
    out = io.StringIO()
    out.isatty = lambda: tty
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.delenv("COLUMNS", raising=False)
    if columns:
        monkeypatch.setenv("COLUMNS", columns)
    console = make_console()
    if tty:
        console.width = width
    made = Table("stage", "measure", "value", box=None)
    made.add_row("Q" * 70, "Z" * 70, "")
    console.print(made)
    print_line(console, "http://a.example/" + "c" * 200)
    print_text(console, "\ta page  \nwith blanks" + " d" * 200)
    return out.getvalue()


def test_a_terminal_shows_names_whole(monkeypatch):
    """In a table they go on in the next line, and a URL is one line, which the terminal wraps."""
    shown = shown_on(80, monkeypatch)
    assert "…" not in shown
    assert (shown.count("Q"), shown.count("Z")) == (70, 70)
    assert "c" * 200 in shown


@pytest.mark.parametrize(("columns", "whole"), [(None, True), ("60", False)])
def test_a_pipe_gets_whole_lines_without_blanks_at_the_end(monkeypatch, columns, whole):
    shown = shown_on(80, monkeypatch, tty=False, columns=columns)
    assert ("Q" * 70 in shown, "…" in shown) == (whole, False)
    assert "\ta page  \nwith blanks" + " d" * 200 + "\n" in shown
    assert all(line == line.rstrip() for line in shown.splitlines() if "page" not in line)


def test_nothing_else_prints():
    """Texts for people and programs have one way out."""
    for path in (ROOT / "jobs").rglob("*.py"):
        if path.name != "terminal.py":
            tree = ast.walk(ast.parse(path.read_text()))
            calls = {node.func.id for node in tree if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
            assert "print" not in calls, path
            assert calls & {"Console"} == set() or path.name in ("console.py", "progress.py"), path
