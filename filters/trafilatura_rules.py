"""Trafilatura's XPath lists as bits that an element's attributes carry.

    flags_of(element) & OVERALL

lxml calls back into Python for each `re:test` and element, which is half the time of an extraction. Here every
expression is one bit; which bits an attribute's value has is computed once and remembered, for a site repeats its
classes on every element. The conditions are read out of the expressions themselves, so no token list is copied here;
a ValueError on import says that an expression has a form that this module does not know.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from lxml import etree
from trafilatura import settings, xpaths

MAX_REMEMBERED = 20_000
"""Values per attribute after which the memory starts anew: at 60 bytes each, 5 MB for class and id."""

MAX_VALUE = 200
"""Characters of a value beyond which it is not remembered."""

# The same bits twice more, for conditions on `@id|@class` and `@id|@style`: XPath's string of two attributes is
# the one that comes first in the source.
_FIRST_OF = {("class", "id"): 32, ("id", "style"): 64}
_OWN = (1 << 32) - 1

_ATOM = re.compile(
    r"""\s*(?:
      re:test\(@(?P<re_a>[\w-]+)(?:\|@(?P<re_b>[\w-]+))?,\s*'(?P<pattern>[^']*)'(?:,\s*'(?P<flag>i)')?\)
    | (?P<call>contains|starts-with)\(
        (?:translate\(@(?P<tr>[\w-]+),\s*'(?P<from>\w+)',\s*'(?P<to>\w+)'\)|@(?P<a>[\w-]+)(?:\|@(?P<b>[\w-]+))?)
        ,\s*'(?P<text>[^']*)'\)
    | @(?P<eq>[\w-]+)='(?P<value>[^']*)'
    | @(?P<any>[\w-]+)
    )\s*(?:\bor\s|$)""",
    re.VERBOSE,
)
_STEP = re.compile(r"\.//(\*|\w+)")
_PREDICATE = re.compile(r"\[((?:'[^']*'|[^\]'])*)\]")
_TAGS = re.compile(r"\s*self::(\w+)(?:\s+or\s+self::\w+)*\s*")

Test = Callable[[str], bool]


def _test(atom: re.Match[str]) -> tuple[tuple[str, ...], Test]:
    """The attributes that an atom looks at, and its test of their value."""
    if atom["re_a"]:
        search = re.compile(atom["pattern"], re.IGNORECASE if atom["flag"] else 0).search
        return _names(atom["re_a"], atom["re_b"]), lambda value: search(value) is not None
    if atom["call"]:
        text = atom["text"]
        if atom["tr"]:
            change = str.maketrans(atom["from"], atom["to"])
            return (atom["tr"],), lambda value: text in value.translate(change)
        names = _names(atom["a"], atom["b"])
        return names, (lambda value: text in value) if atom["call"] == "contains" else lambda v: v.startswith(text)
    if atom["eq"]:
        wanted = atom["value"]
        return (atom["eq"],), lambda value: value == wanted
    return (atom["any"],), lambda value: True


def _names(*names: str | None) -> tuple[str, ...]:
    return tuple(sorted(name for name in names if name))


class _Rules:
    """The tests of each attribute, by bit."""

    def __init__(self) -> None:
        self.tests: dict[str, list[tuple[int, Test]]] = {}
        self._next = 0

    def bit(self, condition: str) -> int:
        """A new bit, which elements have whose attributes meet a condition."""
        bit, self._next = 1 << self._next, self._next + 1
        at = 0
        while at < len(condition):
            atom = _ATOM.match(condition, at)
            if atom is None:
                raise ValueError(f"unknown condition in an XPath of trafilatura: {condition[at:]!r}")
            names, test = _test(atom)
            for name in names:
                shift = _FIRST_OF[names] if len(names) > 1 else 0
                self.tests.setdefault(name, []).append((bit << shift, test))
            at = atom.end()
        return bit


def _steps(expression: etree.XPath) -> Iterator[tuple[frozenset[str], list[str]]]:
    """The parts of a union: the tags that it selects (none for all), and the conditions that come after them."""
    path = expression.path
    starts = [found.start() for found in _STEP.finditer(path) if "[" not in path[: found.start()].rpartition("]")[2]]
    for start, end in zip(starts, [*starts[1:], len(path)], strict=True):
        step = _STEP.match(path, start)
        assert step
        predicates = [found[1] for found in _PREDICATE.finditer(path, step.end(), end) if found[1] != "1"]
        tags = frozenset() if step[1] == "*" else frozenset([step[1]])
        if predicates and _TAGS.fullmatch(predicates[0]):
            tags = frozenset(re.findall(r"self::(\w+)", predicates.pop(0)))
        yield tags, predicates


def _only(expression: etree.XPath) -> tuple[frozenset[str], list[str]]:
    [step] = _steps(expression)
    return step


_rules = _Rules()
_tags_of: dict[int, frozenset[str]] = {}


def _bit(tags: frozenset[str], condition: str) -> int:
    bit = _rules.bit(condition)
    _tags_of[bit] = tags
    return bit


def _bits(expressions: list[etree.XPath]) -> int:
    """One bit for each step with a condition."""
    bits = 0
    for expression in expressions:
        for tags, conditions in _steps(expression):
            if conditions:
                [condition] = conditions
                bits |= _bit(tags, condition)
    return bits


_tags, _conditions = _only(xpaths.RAW_TREE_PRUNE_XPATH[0])
APPENDED = _bit(_tags, _conditions[0])
"""Follow-up articles, unless there is a heading inside."""
APPENDED_SURE = _bit(_tags, _conditions[1].replace("not(.//h1) or", "", 1))
"""The same, with or without a heading."""
SHARE_BUTTONS = _bits(xpaths.RAW_TREE_PRUNE_XPATH[1:])
_tags, _conditions = _only(xpaths.REMOVE_COMMENTS_AND_LISTS_XPATH[0])
_lists = frozenset(["ol", "ul"])
RAW_COMMENTS = _bit(_tags - _lists, _conditions[0])
# for lists the second condition implies the first
RAW_COMMENTS |= _bit(_lists, _conditions[1].replace("not(self::ol or self::ul) or", "", 1))
COMMENTS = _bits(xpaths.REMOVE_COMMENTS_XPATH)
BODY = [_bits([expression]) for expression in xpaths.BODY_XPATH]
"""By order of preference. The second is any <article>, to the fifth belongs any <main>: these have no bit."""
OVERALL = _bits(xpaths.OVERALL_DISCARD_XPATH)
REST = _bits(xpaths.DISCARD_IMAGE_ELEMENTS + xpaths.TEASER_DISCARD_XPATH + xpaths.PRECISION_DISCARD_XPATH)
"""What goes whether or not the guard of OVERALL lets that be done; any <header> does too, without a bit."""
BASIC = _bits([settings.BASIC_CLEAN_XPATH])
"""What jusText does not get to see; some tags, without bits, come to it."""

_ANY = sum(bit for bit, tags in _tags_of.items() if not tags)
_OF_TAG = {
    tag: sum(bit for bit, tags in _tags_of.items() if tag in tags or not tags)
    for tag in frozenset().union(*_tags_of.values())
}
_known: dict[str, tuple[dict[str, int], int]] = {
    name: ({}, ~sum(_OWN << shift for names, shift in _FIRST_OF.items() if name in names)) for name in _rules.tests
}


def flags_of(element: etree._Element) -> int:
    """The bits of the expressions that select an element."""
    flags = 0
    open_bits = -1
    for name, value in element.items():
        known = _known.get(name)
        if known is None:
            continue
        bits = known[0].get(value)
        if bits is None:
            bits = _look(name, value)
        flags |= bits & open_bits
        open_bits &= known[1]
    if not flags:
        return 0
    return (flags | flags >> 32 | flags >> 64) & _OWN & _OF_TAG.get(element.tag, _ANY)


def flagged(elements: Iterable[etree._Element], bits: int) -> list[tuple[etree._Element, int]]:
    """The elements that have any of these bits, with all that they have."""
    return [(element, flags) for element in elements if (flags := flags_of(element)) & bits]


def _look(name: str, value: str) -> int:
    bits = 0
    for bit, test in _rules.tests[name]:
        if test(value):
            bits |= bit
    if len(value) <= MAX_VALUE:
        known = _known[name][0]
        if len(known) >= MAX_REMEMBERED:
            known.clear()
        known[value] = bits
    return bits
