"""A plugin that lets the memos of a page worker hold few words. So they are full after some 1,000 pages, and what still
grows then is a leak. No recipe names its stage, but a plugin must have one."""

from functools import lru_cache

from corpus import Limit, Stage
from corpus.text import shingles, words

FEW = 5_000

words.TABLE_LIMIT = FEW
shingles._remembered_words = lru_cache(FEW)(shingles._normal_words)


class Nothing(Stage):
    """Measures nothing."""

    name = "nothing"
    never = Limit(max=0)

    def apply(self, doc):
        return iter(())
