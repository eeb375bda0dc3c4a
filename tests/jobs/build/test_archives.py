"""The text of a dropped page is what the stages make if no limit drops it, whatever its language."""

from corpus.recipes import Recipe
from jobs.build.archives import without_limits
from tests.ledgers import REGISTRY, recipe


def test_no_limit_of_any_language_is_left():
    made = recipe(by_language=True)
    free = Recipe.from_dict(without_limits(made.canonical()), REGISTRY)
    for bound in free.stages:
        for code in ("de", "fr", "en"):
            assert not any(limit.bounds for limit in bound.of_language(code).limits.values())
    assert made == recipe(by_language=True)
