"""An ablation as one HTML page, in the style of the report."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from jobs.ablate.arms import NULL
from jobs.ablate.decide import BETTER, WORSE
from jobs.ablate.picture import COLORS, draw
from jobs.report.render import render_page


def write_page(results: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the page. `rows` are the bits per byte of each training by step and set."""
    baseline = results["arms"][0]["arm"]
    curves: dict[str, dict[str, dict[int, list[float]]]] = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    for row in rows:
        if row["lr"] == results["rates"][0]:
            curves[row["set"]][row["arm"]][row["tokens"]].append(row["bpb"])
    pictures = []
    for name in results["sets"]:
        own = {arm: [(tokens, fmean(bits)) for tokens, bits in sorted(points.items())]
               for arm, points in curves[name].items()}  # fmt: skip
        judged = [one for one in results["verdicts"] if one["set"] == name]
        differences = {one["arm"]: one["differences"] for one in judged}
        label = f"Learning curves on {name}, and differences from {baseline} at the end"
        pictures.append({"set": name, "svg": draw(own, differences, label), "verdicts": judged})
    arms = [baseline, NULL, *(one["arm"] for one in results["arms"][1:])]
    return render_page(
        "ablation.html", results=results, pictures=pictures, baseline=baseline, null=NULL,
        colors={arm: f"a{number % COLORS}" for number, arm in enumerate(arms)},
        classes={BETTER: "good", WORSE: "lost"},
    )  # fmt: skip
