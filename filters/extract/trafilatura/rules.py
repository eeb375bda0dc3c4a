"""Trafilatura's XPath lists as bits of an element's attributes.

    flags_of(element) & OVERALL

lxml calls a Python function for each `re:test` and element, which takes half the time of an extraction. Here each
expression is a bit. A kernel walks through the tree, and remembers the bits of an attribute's value, because a site
repeats its classes on many elements. The conditions are parsed from trafilatura's expressions, so no list of words is
copied here. The import raises ValueError if an expression has an unknown form.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from lxml import etree
from trafilatura import settings, xpaths
from trafilatura.readability_lxml import REGEXES

from filters.extract.trafilatura.values import ValueFlags
from native.kernels import TreeFlags

# For `@id|@class`, XPath takes the attribute that comes first in the source. So the bits of such conditions are
# shifted, and after one of the two attributes, the shifted bits of the other do not count.
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
    """The bits, the attribute values that have each bit, and the tags on which each bit counts."""

    def __init__(self) -> None:
        self.values: dict[str, ValueFlags] = {}
        self.tags: dict[int, frozenset[str]] = {}

    def bit(self, tags: frozenset[str], condition: str) -> int:
        """Return a new bit for a condition on the attributes of elements with these tags. Empty `tags` mean any tag."""
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
            for bit_, values in self._shifted(bit, atom["re_a"], atom["re_b"]):
                values.add_pattern(bit_, atom["pattern"], any_case=bool(atom["flag"]))
        elif atom["call"]:
            pattern = re.escape(atom["text"])
            if atom["call"] == "starts-with":
                pattern = f"^{pattern}"
            for letter in atom["from"] or "":
                pattern = pattern.replace(letter.lower(), f"[{letter.lower()}{letter}]")
            for bit_, values in self._shifted(bit, atom["tr"] or atom["a"], atom["b"]):
                values.add_pattern(bit_, pattern)
        elif atom["eq"]:
            self._values(atom["eq"]).add_value(bit, atom["value"])
        else:
            self._values(atom["any"]).add_any(bit)

    def _values(self, name: str) -> ValueFlags:
        return self.values.setdefault(name, ValueFlags())

    def _shifted(self, bit: int, *names: str | None) -> Iterator[tuple[int, ValueFlags]]:
        given = sorted(name for name in names if name)
        shift = _FIRST_OF[given[0], given[1]] if len(given) > 1 else 0
        for name in given:
            yield bit << shift, self._values(name)

    def all_of(self, expressions: list[etree.XPath]) -> int:
        """Return one bit for each part of the expressions that has a condition."""
        bits = 0
        for expression in expressions:
            for tags, conditions in _steps(expression):
                if conditions:
                    [condition] = conditions
                    bits |= self.bit(tags, condition)
        return bits


def _steps(expression: etree.XPath) -> Iterator[tuple[frozenset[str], list[str]]]:
    """Yield the parts of a union: the tags that a part selects (empty for all tags), and the conditions after them."""
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


Divided = tuple[int, int, int]
Phrases = list[tuple[str, str, Divided]]
Attribute = tuple[str, Divided, dict[str, Divided], Phrases, Phrases, Callable[[str], Divided]]

_rules = _Rules()

[(_tags, _conditions)] = _steps(xpaths.RAW_TREE_PRUNE_XPATH[0])
APPENDED = _rules.bit(_tags, _conditions[0])
"""Follow-up articles, unless they contain a heading."""
APPENDED_SURE = _rules.bit(_tags, _conditions[1].replace("not(.//h1) or", "", 1))
"""Follow-up articles, with or without a heading."""
SHARE_BUTTONS = _rules.all_of(xpaths.RAW_TREE_PRUNE_XPATH[1:])
[(_tags, _conditions)] = _steps(xpaths.REMOVE_COMMENTS_AND_LISTS_XPATH[0])
_lists = frozenset(["ol", "ul"])
# for lists, the second condition implies the first
RAW_COMMENTS = _rules.bit(_tags - _lists, _conditions[0]) | _rules.bit(
    _lists, _conditions[1].replace("not(self::ol or self::ul) or", "", 1)
)
COMMENTS = _rules.all_of(xpaths.REMOVE_COMMENTS_XPATH)
FRAMES = [_rules.all_of([expression]) for expression in xpaths.BODY_XPATH]
"""The frames of the content, the best first.

Two frames need no bits: the second is any <article>, the fifth any <main>.
"""
OVERALL = _rules.all_of(xpaths.OVERALL_DISCARD_XPATH)
REST = _rules.all_of(xpaths.DISCARD_IMAGE_ELEMENTS + xpaths.TEASER_DISCARD_XPATH + xpaths.PRECISION_DISCARD_XPATH)
"""The elements that are removed without the guard of OVERALL. Any <header> is removed too, but has no bit."""
BASIC = _rules.all_of([settings.BASIC_CLEAN_XPATH])
"""The elements that jusText does not see. For some tags, this is so without a bit."""
UNLIKELY = _rules.bit(frozenset(), "")
LIKELY = _rules.bit(frozenset(), "")
"""Readability removes elements that are UNLIKELY, except if they are LIKELY too."""
for _name in ("class", "id"):
    _rules.values[_name].add_pattern(UNLIKELY, REGEXES["unlikelyCandidatesRe"].pattern, lower=True)
    _rules.values[_name].add_pattern(LIKELY, REGEXES["okMaybeItsACandidateRe"].pattern, lower=True)

_ANY = sum(bit for bit, tags in _rules.tags.items() if not tags)
_OF_TAG = {
    tag: sum(bit for bit, tags in _rules.tags.items() if tag in tags or not tags)
    for tag in frozenset[str]().union(*_rules.tags.values())
}


def _divided(bits: int) -> Divided:
    """Divide bits by their shifts."""
    return bits & _OWN, bits >> 32 & _OWN, bits >> 64


def _attribute(name: str, values: ValueFlags) -> Attribute:
    whole = {value: _divided(bits) for value, bits in values.whole.items()}
    exact, any_case = (
        [(*phrase, _divided(bits)) for phrase, bits in values.phrases[which].items()] for which in (False, True)
    )
    return name, _divided(values.any), whole, exact, any_case, lambda value: _divided(values.bits(value))


_flags = TreeFlags([_attribute(*one) for one in _rules.values.items()], list(_OF_TAG.items()), _ANY)

flags_of = _flags.flags
"""Return the bits of the expressions that select an element."""


def flagged(elements: Iterable[etree._Element], bits: int) -> list[tuple[etree._Element, int]]:
    """Return the elements that have any of these bits. Each comes with all its bits."""
    return [(element, flags) for element in elements if (flags := flags_of(element)) & bits]


def flagged_below(
    root: etree._Element, bits: int, tags: Sequence[str] = (), always: Sequence[str] = ()
) -> list[tuple[etree._Element, int]]:
    """Do the same for the elements below a root, or for those with these tags. Elements with a tag in `always` need no
    bit."""
    return _flags.flagged(root, bits, tags, always)
