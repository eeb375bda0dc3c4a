"""Writes the classes of Unicode's characters as C++ tables: `python unicode_classes.py > FILE`.

They are those of this Python, so that the kernels split texts as Python does.
"""

import sys
import unicodedata

BLOCK = 256


def classes(char: str) -> int:
    """Return the bits of `CharClass` in src/unicode_text.hpp."""
    tests = (
        char.isspace(),
        char.isalpha(),
        char.isdecimal(),
        unicodedata.category(char)[0] == "P",
        len(f"{char}.".splitlines()) == 2,
        char.isalnum() or char == "_",
    )
    return sum(1 << bit for bit, test in enumerate(tests) if test)


rows: dict[tuple[int, ...], int] = {}
numbers = []
for start in range(0, 0x110000, BLOCK):
    row = tuple(classes(chr(code)) for code in range(start, start + BLOCK))
    numbers.append(rows.setdefault(row, len(rows)))

sys.stdout.write(f"constexpr std::uint8_t kBlockOf[{len(numbers)}] = {{{','.join(map(str, numbers))}}};\n")
sys.stdout.write(f"constexpr std::uint8_t kClasses[{len(rows)}][{BLOCK}] = {{\n")
for row in rows:
    sys.stdout.write(f"{{{','.join(map(str, row))}}},\n")
sys.stdout.write("};\n")
