"""Masking of user names and e-mail addresses in a URL, before the URL is written anywhere.

    mask_url("https://bob:pw@shop.example/u?email=bob%40mail.example")   # 'https://<USER>@shop.example/u?email=<EMAIL>'

<USER> replaces user info and the values of user-name parameters. <EMAIL> replaces e-mail addresses.
"""

from __future__ import annotations

import re

# Each pattern is linear on any input: repeats are possessive, or end at a character that begins the next part.
_AT = re.compile(r"@|%(?:25)*+40")
_USER_INFO = re.compile(r"\A((?:[A-Za-z][A-Za-z0-9+.\-]*+:)?//)[^/?#]+@")
_NESTED_USER_INFO = re.compile(
    r"(//|%2F%2F)(?:(?:[^/?#&@%\s]|%(?!2F|3F|23|26|40))++(?:@|%40))+",  # in the path or query, encoded or not
    re.IGNORECASE,
)
_NAMES = r"((?:user|user[_-]?name|login)|(e-?_?mail))"
_PARAMETER = re.compile(rf"(?<=[?&;#]){_NAMES}=([^&;#]++)", re.IGNORECASE)
_NESTED_PARAMETER = re.compile(
    rf"(?:(?<=%3F)|(?<=%26)|(?<=%3B)|(?<=%23)){_NAMES}%3D((?:(?!%26|%23)[^&#])++)", re.IGNORECASE
)
# The name before an @ consists of letters, digits, and a few marks. It ends at any other character. `%2B` is a plus
# sign. Bytes from %80 on are letters of other scripts.
_NOT_LOCAL = re.compile(r"%(?:25)*+(?!2B|2D|2E|5F|[89A-F][0-9A-F])(?:[0-9A-F]{2})?|[^\w.+\-!$'*^`{|}~%]", re.IGNORECASE)
_MAIL_HOST = re.compile(
    r"(?!\dx\.)"  # icon@2x.png is not an address
    r"(?:(?:[^\W_]|-)++(?:\.|%(?:25)*+2E))+(?:xn--[a-z0-9]++|[^\W\d_]{2,})",
    re.IGNORECASE,
)


def mask_url(url: str) -> str:
    """Return `url` with <USER> for user info and user-name parameters, and <EMAIL> for addresses and their parameters.

    Addresses are found in path, query and fragment, also with a percent-encoded @. Any other URL is returned unchanged.
    A handle (`/@name`) is not an address and is kept. The time is linear in the length of the URL. Masking twice
    changes nothing.
    """
    lower = url.lower()
    has_at = "@" in url or "%40" in url or "2540" in url
    if has_at:
        url = _USER_INFO.sub(r"\1<USER>@", url)
        url = _NESTED_USER_INFO.sub(r"\1<USER>@", url)
    if "user" in lower or "mail" in lower or "login" in lower:
        url = _PARAMETER.sub(_masked_parameter, url)
        url = _NESTED_PARAMETER.sub(_masked_parameter, url)
    return _mask_addresses(url) if has_at else url


def _masked_parameter(match: re.Match[str]) -> str:
    whole, value = match.group(), match.group(3)
    return whole.removesuffix(value) + ("<EMAIL>" if match.group(2) else "<USER>")


def _mask_addresses(url: str) -> str:
    parts: list[str] = []
    done = scanned = 0
    for at in _AT.finditer(url):
        local = scanned
        for end in _NOT_LOCAL.finditer(url, scanned, at.start()):
            local = end.end()
        scanned = at.end()
        host = _MAIL_HOST.match(url, at.end())
        if host and local < at.start():
            parts += url[done:local], "<EMAIL>"
            done = host.end()
            scanned = max(scanned, done)
    return "".join(parts) + url[done:]
