"""Pages of the sample crawl whose text breaks one rule each, and the near misses that must be kept."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from html import escape
from itertools import cycle, islice
from random import Random

from jobs.sample.page import Page, article_page
from jobs.sample.phrases import Article, load_topics, make_names, spin, write_article
from jobs.sample.sites import frame, gallery_page, home_page, login_page, pick_site, topic_for

_SENTENCE_END = re.compile(r"[.!?](?= |$)")


class Phrases:
    """Templates of one topic in rules.txt, spun with the same names; each is used before one comes again."""

    def __init__(self, rng: Random, topic: str) -> None:
        self.rng = rng
        self.parts = load_topics("rules")[topic]
        self.names = make_names(rng)

    def one(self, part: str = "line") -> str:
        """One text of a part."""
        return spin(self.rng, self.rng.choice(self.parts[part]), self.names)

    def some(self, count: int, part: str = "line") -> list[str]:
        """So many texts of a part, in turn; spun anew, so that few are alike."""
        templates = self.rng.sample(self.parts[part], len(self.parts[part]))
        return [spin(self.rng, template, self.names) for template in islice(cycle(templates), count)]

    @property
    def title(self) -> str:
        return self.one("title")


def text_page(
    rng: Random, intent: str, title: str, lines: Iterable[str], tag: str = "p", notes: tuple[str, ...] = ()
) -> Page:
    """A page whose main text is these lines, each an element."""
    inner = "\n".join(f"<{tag}>{escape(line, quote=False)}</{tag}>" for line in lines)
    return html_page(rng, intent, title, f"<ul>{inner}</ul>" if tag == "li" else inner, notes)


def html_page(rng: Random, intent: str, title: str, inner: str, notes: tuple[str, ...] = ()) -> Page:
    """A page of a blog with this main content."""
    site = pick_site(rng, "en", "blog")
    main = f'<article class="post"><h1>{escape(title)}</h1><div class="entry-content">{inner}</div></article>'
    return Page(site.url(rng, title), intent, frame(rng, site, title, main).encode(), notes=notes)


def stub(rng: Random) -> Page:
    """The beginning of an article, and no more: fewer than fifty words."""
    article = write_article(rng, "en")
    words = " ".join(article.paragraphs[:2]).split()[: 46 - len(article.title.split())]
    lines = [" ".join(words).rstrip(".,") + "."]
    return text_page(rng, "gopher_quality.words", article.title, lines, notes=("page:stub",))


def login(rng: Random) -> Page:
    site = pick_site(rng)
    return Page(site.url(rng, "sign in"), "extract.chars", login_page(rng, site).encode(), notes=("page:login",))


def gallery(rng: Random) -> Page:
    """Captions of two words are no language that can be told."""
    site = pick_site(rng, "en", "news")
    html = gallery_page(rng, site)
    return Page(site.url(rng, "pictures"), "language.score", html.encode(), notes=("page:gallery",))


def home(rng: Random) -> Page:
    site = pick_site(rng, "en", rng.choice(("news", "blog")))
    html = home_page(rng, site)
    return Page(
        f"https://{site.host}/?edition={rng.randint(2, 9999)}", "gopher_quality.ellipsis_line_ratio", html.encode(),
        notes=("page:home",),
    )  # fmt: skip


def repeated_lines(rng: Random) -> Page:
    phrases = Phrases(rng, "call")
    call = phrases.one("call")
    lines = [line for other in phrases.some(7) for line in (other, call)]
    return text_page(rng, "gopher_repetition.dup_line_frac", phrases.title, lines)


def repeated_long_line(rng: Random) -> Page:
    phrases = Phrases(rng, "notice")
    long = phrases.one()
    items = phrases.some(9, "item")
    lines = [*items[:3], long, *items[3:6], long, *items[6:], long]
    return text_page(rng, "gopher_repetition.dup_line_char_frac", "On the board", lines)


def top_2_gram(rng: Random) -> Page:
    phrases = Phrases(rng, "sheds")
    return text_page(rng, "gopher_repetition.top_2_gram", phrases.title, dict.fromkeys(phrases.some(10)))


def _stuffed(rng: Random, phrase: str, share: float) -> list[str]:
    """Lines that all end in a search phrase, which makes up that share of the text."""
    leads = rng.sample(("by", "ask", "with", "thank", "see", "not without", "says one of", "for", "like", "try"), 9)
    words = cycle(" ".join(_sentences(rng, 40)).split())
    lines = []
    for lead in leads:
        line = next(words).capitalize()
        while len(line) + len(lead) < len(phrase) / share - len(phrase) - 8:
            line = f"{line} {next(words)}"
        lines.append(f"{line.rstrip('.,;:!?')}, {lead} {phrase}.")
    return lines


def _sentences(rng: Random, count: int, topic: str = "") -> list[str]:
    """Different sentences out of articles, without quotation marks."""
    found: dict[str, None] = {}
    while len(found) < count:
        found.update((s, None) for s in write_article(rng, "en", topic).sentences if '"' not in s)
    return list(found)[:count]


def top_3_gram(rng: Random) -> Page:
    lines = _stuffed(rng, "plumbers in Brackenridge", 0.22)
    return text_page(rng, "gopher_repetition.top_3_gram", "Plumbers in Brackenridge", lines)


def top_4_gram(rng: Random) -> Page:
    lines = _stuffed(rng, "emergency locksmiths around Yarrowby", 0.2)
    return text_page(rng, "gopher_repetition.top_4_gram", "Emergency locksmiths around Yarrowby", lines)


def dup_5_gram(rng: Random) -> Page:
    phrases = Phrases(rng, "disclaimer")
    same = phrases.one()
    lines = [f"{tail} {same}" for tail in phrases.some(5, "tail")]
    return text_page(rng, "gopher_repetition.dup_5_gram", phrases.title, lines)


def dup_10_gram(rng: Random) -> Page:
    """Thirty words come twice and make 11% of the text: too much for ten words at a time, not for five to nine."""
    article = write_article(rng, "en", "council", bodies=(7, 8))
    sentences = [s for s in article.sentences if not re.search("[\"'-]", s)]  # where words are split as here
    parts = re.findall(r"\w+|[^\w\s]|\s+", " ".join(sentences))
    words = [i for i, part in enumerate(parts) if not part.isspace()]
    repeated = "".join(parts[: words[29] + 1])
    room = len("".join(repeated.split())) / 0.112 - len(repeated) - 60
    text = ""
    for sentence in article.sentences:
        if len(text) + len(sentence) < room:
            text = f"{text} {sentence}".strip()
    return text_page(rng, "gopher_repetition.dup_10_gram", article.title, [text, f"They wrote it twice: {repeated}"])


def long_words(rng: Random) -> Page:
    phrases = Phrases(rng, "longwords")
    words = [phrases.one("word") for _ in range(63)]
    lines = [f"{' '.join(words[i : i + 6])} and the {words[i + 6]}.".capitalize() for i in range(0, 63, 7)]
    return text_page(rng, "gopher_quality.mean_word_length", phrases.title, lines)


def short_words(rng: Random) -> Page:
    phrases = Phrases(rng, "words")
    lines = [" ".join(phrases.one("short") for _ in range(12)).capitalize() + "." for _ in range(7)]
    return text_page(rng, "gopher_quality.mean_word_length", "As we go", lines)


def hashtags(rng: Random) -> Page:
    lines = []
    for sentence in _sentences(rng, 9, "coastwalk"):
        tags = re.findall(r"[a-z]{4,}", sentence)
        lines.append(f"{sentence} {' '.join(f'#{tag}' for tag in tags[: 2 + len(sentence.split()) // 5])}")
    return text_page(rng, "gopher_quality.hash_ratio", "Our week in pictures", lines)


def dots(rng: Random) -> Page:
    lines = []
    for sentence in _sentences(rng, 10, "piano"):
        words = sentence.rstrip(".!?").split()
        lines.append("... ".join(" ".join(words[i : i + 3]) for i in range(0, len(words), 3)) + ".")
    return text_page(rng, "gopher_quality.ellipsis_ratio", "so... where was I", lines)


def bullets(rng: Random) -> Page:
    topic = rng.choice(("garden", "bread", "bees", "money"))
    return text_page(rng, "gopher_quality.bullet_line_ratio", "In short", _sentences(rng, 16, topic), tag="li")


def numbers(rng: Random) -> Page:
    phrases = Phrases(rng, "readings")
    rows = "".join(
        f"<tr><td>{day}</td><td>{rng.uniform(2, 19):.1f}</td><td>{rng.uniform(5, 29):.1f}</td>"
        f"<td>{rng.randint(960, 1040)}</td><td>{rng.uniform(0, 30):.1f}</td></tr>"
        for day in range(1, 29)
    )
    inner = f"<p>{phrases.one()}</p><table>{rows}</table>"
    return html_page(rng, "gopher_quality.alpha_ratio", phrases.title, inner)


def keywords(rng: Random) -> Page:
    phrases = Phrases(rng, "words")
    lines = []
    for _ in range(9):
        pairs = " ".join(f"{phrases.one('adjective')} {phrases.one('noun')}" for _ in range(3))
        lines.append(f"{phrases.one('offer')} {pairs} {phrases.one('offer')} {phrases.one('more')}".capitalize())
    return text_page(rng, "gopher_quality.stop_words", "Leather handbags online shop", lines)


def lorem(rng: Random) -> Page:
    filler = f"<p>{load_topics('rules')['c4lines']['lorem'][0]}</p>"
    return article_page(rng, "c4.lorem_ipsum", site=pick_site(rng, "en", "news"), extra=filler)


def curly(rng: Random) -> Page:
    line = Phrases(rng, "c4lines").one("curly").replace("OPEN", "{").replace("CLOSE", "}")
    return article_page(rng, "c4.curly_bracket", site=pick_site(rng, "en", "docs"), extra=f"<p>{line}</p>")


def run_on(rng: Random) -> Page:
    """Some three hundred words in three sentences."""
    article = write_article(rng, "en", rng.choice(("garden", "coastwalk", "piano", "bread")))
    joins = load_topics("rules")["runon"]["join"]
    lines = []
    for part in (article.paragraphs[:2], article.paragraphs[2:4], article.paragraphs[4:6]):
        clauses = [clause.strip() for clause in _SENTENCE_END.split(" ".join(part).replace('"', "")) if clause.strip()]
        lines.append(f" {rng.choice(joins)} ".join(clauses) + ".")
    return text_page(rng, "c4.sentences", article.title, lines)


def removed_line(rng: Random, part: str) -> Page:
    """Kept, without the line or the mark that C4's rules take out."""
    if part == "line_long_word":
        line = re.sub(r"\W", "", "".join(_sentences(rng, 30)))[:1200] + " has no spaces."
    else:
        line = Phrases(rng, "c4lines").one(part)
    site = pick_site(rng, "en", "news")
    # long, because a word of a thousand letters counts in the mean length of words
    article = write_article(rng, "en", topic_for(rng, site), bodies=(8, 9))
    return article_page(rng, site=site, article=article, extra=f"<p>{line}</p>", notes=(f"c4:{part}",))


def headlines(rng: Random) -> Page:
    lines = [line.rstrip(".!?") for line in _sentences(rng, 14) if len(line) > 40]
    return text_page(rng, "fineweb.line_punct_ratio", "All stories of the week", lines)


def verse(rng: Random) -> Page:
    """Sentences broken into lines of four words."""
    lines = []
    for sentence in _sentences(rng, 12, rng.choice(("garden", "bees", "coastwalk"))):
        words = sentence.split()
        lines += [" ".join(words[i : i + 4]) for i in range(0, len(words) - len(words) % 4 - 4, 4)]
        lines.append(" ".join(words[len(words) - len(words) % 4 - 4 :]))
    return text_page(rng, "fineweb.short_line_ratio", "Lines for a narrow page", dict.fromkeys(lines))


def repeated_hint(rng: Random) -> Page:
    article = write_article(rng, "en", bodies=(7, 9))
    hint = Phrases(rng, "c4lines").one("again")
    lines = [line for i, p in enumerate(article.paragraphs) for line in ((p, hint) if i in (1, 4, 6) else (p,))]
    return text_page(rng, "fineweb.char_dup_ratio", article.title, lines)


def three_word_lines(rng: Random) -> Page:
    """Three words a line, with more than thirty characters in half of the lines."""
    phrases = Phrases(rng, "triples")
    pool = list(dict.fromkeys(phrases.some(120)))
    long, short = ([line for line in pool if (len(line) > 31) == is_long] for is_long in (True, False))
    lines = [line for pair in zip(long[:16], short, strict=False) for line in pair]
    lines = [f"{line}." if i % 7 == 0 else line for i, line in enumerate(lines)]
    return text_page(rng, "fineweb.newline_ratio", phrases.title, lines)


def mixed_languages(rng: Random) -> Page:
    """Seven English lines and five in other languages, so that English is likeliest and not likely."""
    english = [s for s in _sentences(rng, 30) if len(s.split()) > 10][:7]
    lines = []
    for i, language in enumerate(("de", "fr", "es", "it", "pt")):
        other = next(s for s in write_article(rng, language).sentences if len(s.split()) > 10)
        lines += [" ".join(english[i].split()[:9]) + ".", " ".join(other.split()[:12]) + "."]
    return text_page(rng, "language.score", "Mixed post bag", [*lines, *english[5:]])


def same_text(rng: Random) -> list[Page]:
    """The same bytes under two or three addresses."""
    page = article_page(rng, notes=("duplicate:exact",))
    page.cluster = page.url
    queries = rng.sample(("?utm_source=letter", "?print=1", "?ref=home", "?from=rss"), rng.randint(1, 2))
    return [page, *(replace(page, url=page.url + query) for query in queries)]


_AGENCY_NOTES = ("(Agency report)", "This text came from a partner.", "It was first printed on Monday.")


def syndicated(rng: Random) -> list[Page]:
    """One article on two to five sites: other frames and dates, a note of the agency, a sentence edited."""
    first = pick_site(rng, "en", "news")
    article = write_article(rng, "en", topic_for(rng, first), bodies=(6, 8))
    pages = []
    for i in range(rng.randint(2, 5)):
        site = first if i == 0 else pick_site(rng, "en", rng.choice(("news", "blog")))
        text = list(article.paragraphs)
        if i:
            text[-1] = f"{text[-1]} {rng.choice(_AGENCY_NOTES)}"
        if i > 1:
            text[1] = text[1].rpartition(". ")[0] + "."
        title = article.title if i % 2 == 0 else f"{article.title} ({rng.randint(2, 9)} min)"
        version = Article("en", article.topic, title, article.author, tuple(text))
        page = article_page(rng, site=site, article=version, notes=("duplicate:near",))
        pages.append(page)
    for page in pages:
        page.cluster = pages[0].url
    return pages


BROKEN_RULES: tuple[Callable[[Random], Page | list[Page]], ...] = (
    stub, login, gallery, home, repeated_lines, repeated_long_line, top_2_gram, top_3_gram, top_4_gram, dup_5_gram,
    dup_10_gram, long_words, short_words, hashtags, dots, bullets, numbers, keywords, lorem, curly, run_on,
    *(partial(removed_line, part=part) for part in ("line_javascript", "line_policy", "citations", "line_long_word")),
    headlines, verse, repeated_hint, three_word_lines, mixed_languages, same_text, syndicated, same_text, syndicated,
)  # fmt: skip
"""What breaks which rule; each call makes another one."""
