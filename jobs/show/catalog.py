"""`corpus stages` and `corpus recipes`: print the registry and the named recipes, as text or JSON."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from importlib import resources
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

import corpus.recipes
from corpus.recipes import recipe_toml
from corpus.stage import Stage
from filters.meanings import meanings


def stages(registry: Mapping[str, type[Stage]]) -> list[dict[str, Any]]:
    """Return the name, description, source, parameters with defaults, and measures with default limits of every stage.

    `meanings` has the docstrings of parameters and measures.
    """
    return [
        {
            "stage": name,
            "what": (inspect.getdoc(cls) or "").split("\n")[0],
            "doc": inspect.getdoc(cls) or "",
            "source": cls.source,
            "gate": cls.gate,
            "params": cls().params,
            "measures": [
                {"measure": measure, "type": limit.of.__name__, "limit": limit.bounds}
                for measure, limit in cls.limits.items()
            ],
            "meanings": meanings(cls),
        }
        for name, cls in registry.items()
    ]


def show_stages(listed: list[dict[str, Any]], console: Console) -> None:
    for stage in listed:
        console.print(f"[bold]{stage['stage']}[/bold]  {escape(stage['what'])}")
        if stage["source"]:
            console.print(f"  source: {escape(stage['source'])}", style="dim")
        table = Table("measure", "type", "limit", "", box=None, header_style="dim", padding=(0, 2))
        for measure in stage["measures"]:
            meaning = escape(stage["meanings"].get(measure["measure"], ""))
            table.add_row(measure["measure"], measure["type"], _limit(measure["limit"]), meaning)
        console.print(table)
        for name, value in stage["params"].items():
            console.print(f"  parameter {name} = {escape(repr(value))}  {escape(stage['meanings'].get(name, ''))}")
        console.print()


def show_recipes(listed: list[dict[str, Any]], console: Console) -> None:
    for recipe in listed:
        console.print(f"[bold]{recipe['name']}[/bold]  {escape(recipe['description'])}")
        for stage in recipe["stages"]:
            limits = {key: value for key, value in stage.items() if isinstance(value, dict)}
            on = {key: {bound: v for bound, v in limit.items() if v != "off"} for key, limit in limits.items()}
            shown = ", ".join(f"{key} {_limit(limit) or 'off'}" for key, limit in on.items())
            console.print(f"  {stage['name']}: {escape(shown)}")
        console.print()


def recipe_text(recipe: Mapping[str, Any], listed: list[dict[str, Any]]) -> str:
    """Return a canonical recipe as TOML that loads. A comment says what each parameter and each limit means."""
    meanings = {stage["stage"]: stage["meanings"] for stage in listed}
    return recipe_toml(recipe, lambda stage, key: meanings.get(stage, {}).get(key, ""))


def markdown(listed: list[dict[str, Any]]) -> str:
    """Return the text of docs/filters.md."""
    import jinja2

    source = (resources.files("jobs.show") / "templates" / "filters.md").read_text(encoding="utf-8")
    template = jinja2.Template(source, trim_blocks=True, keep_trailing_newline=True)
    text: str = template.render(stages=listed, recipes=inspect.getdoc(corpus.recipes), limit=_limit, json=json.dumps)
    return text


def _limit(bounds: Mapping[str, Any]) -> str:
    return " ".join(f"{bound} {', '.join(v) if isinstance(v, list) else v}" for bound, v in bounds.items())
