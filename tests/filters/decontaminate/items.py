"""Made benchmark items, and pages of made words."""

import random

from filters.decontaminate.build import Item

WORDS = [
    first + last for first in ("ba", "de", "ki", "lo", "mu", "na", "po", "re") for last in ("rn", "st", "lk", "mp")
]


def prose(count, seed):
    """Words in a random order, as sentences of 12 words."""
    rng = random.Random(seed)
    words = [rng.choice(WORDS) for _ in range(count)]
    return " ".join(f"{word}." if at % 12 == 11 else word for at, word in enumerate(words))


LONG = "A farmer sells 37 baskets of plums for $4 each and then buys three goats; how many dollars are left, then?"
SHORT = "Which planet has the shortest year of all?"
TINY = "Kinase reactions:"
ITEMS = (
    Item("arith", LONG, ("148 - 60 = 88",), "arith.jsonl:0"),
    Item(
        "arith", "A baker has 12 trays with 9 buns, drops two trays, and sells every bun that is left for 3 cents.", ()
    ),
    Item("facts", SHORT, ("Mercury", "Venus", "Mars")),
    Item("facts", TINY, ("inhibit the breakdown of fat", "add or remove a phosphate group")),
)
