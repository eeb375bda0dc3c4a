"""Pages with labels, made on the spot: a label has words of its own, and its pages are of many sites."""

import json
import random
from pathlib import Path

from tests.warcs import WORDS

OWN = {
    "good": "theorem evidence chapter river history science measured author explains therefore",
    "bad": "casino bonus click buy cheap offer subscribe winner prize limited",
    "other": "recipe flour oven butter minutes sugar bowl stir bake serve",
}


def documents(label, count, sites=12, seed=0, doubt=0.2):
    """Documents of a label. Some of their words are those of another label."""
    rng = random.Random(f"{label}{seed}")
    others = " ".join(words for name, words in OWN.items() if name != label).split()
    found = []
    for number in range(count):
        own = rng.choices(OWN[label].split(), k=20) + rng.choices(WORDS.split(), k=40)
        words = [rng.choice(others) if rng.random() < doubt else word for word in own]
        rng.shuffle(words)
        url = f"http://{label}{number % sites}.example/{number}"
        found.append({"id": f"{label}-{number}", "url": url, "text": " ".join(words) + ".", "label": label})
    return found


def write_lines(path: Path, rows) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path
