"""Our pages in a real browser."""

from pathlib import Path

from tests.waiting import PATIENCE_S

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


class Opened:
    """A page in a browser, with the requests, errors and dialogs that it causes."""

    def __init__(self, browser, url, width=1400, scheme="light", script=True):
        self.context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, java_script_enabled=script
        )
        self.context.set_default_timeout(1000 * PATIENCE_S)  # a busy machine may need more than the 30 s of Playwright
        self.page = self.context.new_page()
        self.noted, self.requests = [], []
        self.page.on("console", lambda message: self.noted.append(message.text))
        self.page.on("pageerror", lambda error: self.noted.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.noted.append(dialog.message), dialog.dismiss()))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(url)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.context.close()


TOO_WIDE = """[...document.querySelectorAll('main *')]
  .filter((one) => one.getBoundingClientRect().right > innerWidth + 1 && !one.closest('.scroll, svg, .sr'))
  .map((one) => one.outerHTML.slice(0, 100))"""

COLOURS = """[...document.querySelectorAll(
  'p, td, th, dt, dd, a, summary, b, h2, .limit, .soft, .cut, button:enabled, label, .said, .special, .tokens span'
)].map((one) => {
  let ground = one;
  while (ground && getComputedStyle(ground).backgroundColor === 'rgba(0, 0, 0, 0)') ground = ground.parentElement;
  return [one.className + ' ' + one.tagName, getComputedStyle(one).color,
          getComputedStyle(ground || document.body).backgroundColor];
}).filter((pair, place, all) => all.findIndex((other) => other[1] === pair[1] && other[2] === pair[2]) === place)"""


def luminance(colour):
    """Relative luminance of a CSS colour `rgb(r, g, b)` (WCAG 2)."""
    parts = [int(part) / 255 for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)
