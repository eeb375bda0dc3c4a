"""The calculator: exact numbers, and questions about the letters of words, in the form of Python.

    7/3 + 1                     10/3
    "strawberry".count("r")     3
    "strawberry"[::-1]          yrrebwarts
    " ".join("cat")             c a t

The input is never run. A walk over its syntax tree knows the few nodes that are allowed, and the size of a result is
checked before the result is made.
"""

from __future__ import annotations

import ast
import operator
import warnings
from collections.abc import Callable
from fractions import Fraction

from jobs.assistant.tool import ToolError

MOST_INPUT = 200
MOST_BITS = 900
"""The most bits of a numerator or denominator, in results and in intermediate results: 271 digits."""
MOST_LETTERS = 500
"""The most characters of a text, in results and in intermediate results."""

_Value = Fraction | str

_DO: dict[type[ast.operator], Callable[[Fraction, Fraction], Fraction]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: lambda left, right: Fraction(left // right),
    ast.Mod: operator.mod,
}

_FUNCTIONS: dict[str, Callable[[str], _Value]] = {
    "len": lambda text: Fraction(len(text)),
    "sorted": lambda text: "".join(sorted(text)),
    "reversed": lambda text: text[::-1],
}
"""The functions of a text. In Python, two of them return the letters one by one. Here they return a text."""

_METHODS: dict[str, tuple[int, Callable[..., _Value]]] = {
    "count": (1, lambda text, part: Fraction(text.count(part))),
    "join": (1, lambda text, letters: _joined(text, letters)),
    "upper": (0, str.upper),
    "lower": (0, str.lower),
}
"""The methods of a text, with the number of texts that each takes."""

_FORM = 'Write numbers with + - * / // % **, or questions about a text such as "cat".count("a").'


def calculate(given: str) -> str:
    """Return the value of an expression as text. Raises ToolError."""
    if len(given) > MOST_INPUT:
        raise ToolError(f"An expression has at most {MOST_INPUT} characters.")
    try:
        with warnings.catch_warnings(action="ignore"):  # Python warns of odd literals, and would quote the text
            tree = ast.parse(given.strip(), mode="eval")
        return str(_value(tree.body))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise ToolError(f"This is not an expression. {_FORM}") from None
    except ZeroDivisionError:
        raise ToolError("This divides by zero.") from None


def _value(node: ast.expr) -> _Value:
    """Return the value of a node. Every value is checked, so no intermediate value exceeds the limits."""
    match node:
        case ast.Constant(value=int(number)) if not isinstance(number, bool):
            value: _Value = Fraction(number)
        case ast.Constant(value=str(text)) if text.isprintable():  # an escape may give half a surrogate pair
            value = text
        case ast.UnaryOp(op=ast.USub() | ast.UAdd() as sign, operand=operand):
            value = _number(operand) * (-1 if isinstance(sign, ast.USub) else 1)
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            value = _power(_number(left), _whole(right))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _DO:
            value = _DO[type(op)](_number(left), _number(right))
        case ast.Subscript(value=inner, slice=ast.Slice(lower=lower, upper=upper, step=step)):
            value = _text(inner)[slice(*(None if end is None else _whole(end) for end in (lower, upper, step)))]
        case ast.Call(func=ast.Name(id=name), args=[inner], keywords=[]) if name in _FUNCTIONS:
            value = _FUNCTIONS[name](_text(inner))
        case ast.Call(func=ast.Attribute(value=inner, attr=name), args=given, keywords=[]) if (
            name in _METHODS and len(given) == _METHODS[name][0]
        ):
            value = _METHODS[name][1](_text(inner), *map(_text, given))
        case _:
            raise ToolError(f"The calculator can't do this. {_FORM}")
    if isinstance(value, str):
        _check(len(value) <= MOST_LETTERS)
    else:
        _check(_bits(value) <= MOST_BITS)
    return value


def _number(node: ast.expr) -> Fraction:
    value = _value(node)
    if isinstance(value, str):
        raise ToolError("There is a text where a number must be.")
    return value


def _whole(node: ast.expr) -> int:
    value = _number(node)
    if value.denominator != 1:
        raise ToolError("An exponent or a place must be a whole number.")
    return value.numerator


def _text(node: ast.expr) -> str:
    value = _value(node)
    if not isinstance(value, str):
        raise ToolError("There is a number where a text must be.")
    return value


def _bits(value: Fraction) -> int:
    return max(value.numerator.bit_length(), value.denominator.bit_length())


def _check(fits: bool) -> None:
    if not fits:
        raise ToolError("A result is too large.")


def _power(base: Fraction, exponent: int) -> Fraction:
    # a power has at least this many bits, and at most twice as many
    _check((_bits(base) - 1) * abs(exponent) <= MOST_BITS)
    return base**exponent


def _joined(text: str, letters: str) -> str:
    _check(len(text) * len(letters) <= MOST_LETTERS)
    return text.join(letters)
