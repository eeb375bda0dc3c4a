"""Trafilatura's XPath lists as bits that an element's attributes carry.

    flags_of(element) & OVERALL

lxml calls back into Python for each `re:test` and element, which is half the time of an extraction. Here every
expression is one bit; which bits an attribute's value has is found once and remembered, for a site repeats its
classes on every element. The conditions are read out of the expressions themselves, so no token list is copied here;
a ValueError on import says that an expression has a form that this module does not know.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from lxml import etree
from trafilatura import settings, xpaths
from trafilatura.readability_lxml import REGEXES

from filters.extract.trafilatura.values import Values

# XPath's string of `@id|@class` is that of the attribute which comes first in the source. Bits of such conditions are
# kept apart, and once one of the two has been seen, the other's do not count.
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


class _Rules:
    """Which bits there are, what attribute values have them, and on which tags they count."""

    def __init__(self) -> None:
        self.values: dict[str, Values] = {}
        self.tags: dict[int, frozenset[str]] = {}

    def bit(self, tags: frozenset[str], condition: str) -> int:
        """A new bit, which elements of these tags (none: of any) have whose attributes meet a condition."""
        bit = 1 << len(self.tags)
        self.tags[bit] = tags
        at = 0
        while at < len(condition):
            atom = _ATOM.match(condition, at)
            if atom is None:
                raise ValueError(f"unknown condition in an XPath of trafilatura: {condition[at:]!r}")
            self._add(bit, atom)
            at = atom.end()
        return bit

    def _add(self, bit: int, atom: re.Match[str]) -> None:
        if atom["re_a"]:
            for bit_, values in self._places(bit, atom["re_a"], atom["re_b"]):
                values.add_pattern(bit_, atom["pattern"], any_case=bool(atom["flag"]))
        elif atom["call"]:
            pattern = re.escape(atom["text"])
            if atom["call"] == "starts-with":
                pattern = f"^{pattern}"
            for letter in atom["from"] or "":
                pattern = pattern.replace(letter.lower(), f"[{letter.lower()}{letter}]")
            for bit_, values in self._places(bit, atom["tr"] or atom["a"], atom["b"]):
                values.add_pattern(bit_, pattern)
        elif atom["eq"]:
            self._values(atom["eq"]).add_value(bit, atom["value"])
        else:
            self._values(atom["any"]).add_any(bit)

    def _values(self, name: str) -> Values:
        return self.values.setdefault(name, Values())

    def _places(self, bit: int, *names: str | None) -> Iterator[tuple[int, Values]]:
        given = sorted(name for name in names if name)
        shift = _FIRST_OF[given[0], given[1]] if len(given) > 1 else 0
        for name in given:
            yield bit << shift, self._values(name)

    def all_of(self, expressions: list[etree.XPath]) -> int:
        """One bit for each part of the expressions that has a condition."""
        bits = 0
        for expression in expressions:
            for tags, conditions in _steps(expression):
                if conditions:
                    [condition] = conditions
                    bits |= self.bit(tags, condition)
        return bits


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


_rules = _Rules()

[(_tags, _conditions)] = _steps(xpaths.RAW_TREE_PRUNE_XPATH[0])
APPENDED = _rules.bit(_tags, _conditions[0])
"""Follow-up articles, unless there is a heading inside."""
APPENDED_SURE = _rules.bit(_tags, _conditions[1].replace("not(.//h1) or", "", 1))
"""The same, with or without a heading."""
SHARE_BUTTONS = _rules.all_of(xpaths.RAW_TREE_PRUNE_XPATH[1:])
[(_tags, _conditions)] = _steps(xpaths.REMOVE_COMMENTS_AND_LISTS_XPATH[0])
_lists = frozenset(["ol", "ul"])
# for lists the second condition implies the first
RAW_COMMENTS = _rules.bit(_tags - _lists, _conditions[0]) | _rules.bit(
    _lists, _conditions[1].replace("not(self::ol or self::ul) or", "", 1)
)
COMMENTS = _rules.all_of(xpaths.REMOVE_COMMENTS_XPATH)
FRAMES = [_rules.all_of([expression]) for expression in xpaths.BODY_XPATH]
"""Where the content may be, the best first. The second is any <article>, to the fifth belongs any <main>: no bits."""
OVERALL = _rules.all_of(xpaths.OVERALL_DISCARD_XPATH)
REST = _rules.all_of(xpaths.DISCARD_IMAGE_ELEMENTS + xpaths.TEASER_DISCARD_XPATH + xpaths.PRECISION_DISCARD_XPATH)
"""What goes whether or not the guard of OVERALL lets that be done; any <header> does too, without a bit."""
BASIC = _rules.all_of([settings.BASIC_CLEAN_XPATH])
"""What jusText does not get to see; some tags, without bits, come to it."""
UNLIKELY = _rules.bit(frozenset(), "")
LIKELY = _rules.bit(frozenset(), "")
"""What readability drops is UNLIKELY and not LIKELY."""
for _name in ("class", "id"):
    _rules.values[_name].add_lower(UNLIKELY, REGEXES["unlikelyCandidatesRe"].pattern)
    _rules.values[_name].add_lower(LIKELY, REGEXES["okMaybeItsACandidateRe"].pattern)

_ANY = sum(bit for bit, tags in _rules.tags.items() if not tags)
_OF_TAG = {
    tag: sum(bit for bit, tags in _rules.tags.items() if tag in tags or not tags)
    for tag in frozenset[str]().union(*_rules.tags.values())
}
_ATTRIBUTES = {
    name: (values, ~sum(_OWN << shift for names, shift in _FIRST_OF.items() if name in names))
    for name, values in _rules.values.items()
}


def flags_of(element: etree._Element) -> int:
    """The bits of the expressions that select an element."""
    items = element.items()
    if not items:
        return 0
    flags = 0
    still = -1
    for name, value in items:
        attribute = _ATTRIBUTES.get(name)
        if attribute is not None:
            flags |= attribute[0][value] & still
            still &= attribute[1]
    if not flags:
        return 0
    return (flags | flags >> 32 | flags >> 64) & _OWN & _OF_TAG.get(element.tag, _ANY)


def flagged(elements: Iterable[etree._Element], bits: int) -> list[tuple[etree._Element, int]]:
    """The elements that have any of these bits, with all that they have."""
    return [(element, flags) for element in elements if (flags := flags_of(element)) & bits]


def flagged_by_name(elements: Iterable[etree._Element], bits: int) -> list[tuple[etree._Element, int]]:
    """Like `flagged`, but only by what class and id say each for itself: enough for some bits, and twice as fast."""
    found = []
    classes = _rules.values["class"]
    ids = _rules.values["id"]
    for element in elements:
        class_ = element.get("class")
        id_ = element.get("id")
        flags = classes[class_] if class_ else 0
        if id_:
            flags |= ids[id_]
        if flags & bits:
            flags &= _OF_TAG.get(element.tag, _ANY)
            if flags & bits:
                found.append((element, flags))
    return found
