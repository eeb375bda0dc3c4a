"""Writes the named character references of HTML as rows of a C++ table: `python named_references.py > FILE`."""

import sys
from html.entities import html5

for name, text in sorted(html5.items(), key=lambda entry: entry[0].encode()):
    escaped = "".join(f"\\x{byte:02x}" for byte in text.encode())
    sys.stdout.write(f'{{"{name}", "{escaped}"}},\n')
