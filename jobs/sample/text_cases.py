"""Pages of the sample crawl whose text breaks one rule each, and near misses that must be kept."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from html import escape
from itertools import cycle
from random import Random

from jobs.sample.phrases import Phrases, load_topics, make_names, spin, write_article
from jobs.sample.sample_page import SamplePage
from jobs.sample.sites import article_page, fill, frame, paragraph, pick_site

_SENTENCE_END = re.compile(r"[.!?](?= |$)")


def text_page(rng: Random, rule: str, title: str, lines: Iterable[str], notes: tuple[str, ...] = ()) -> SamplePage:
    """Make a page of a blog whose main text is these lines, each a paragraph."""
    return html_page(rng, rule, title, "\n".join(map(paragraph, lines)), notes)


def html_page(rng: Random, rule: str, title: str, inner: str, notes: tuple[str, ...] = ()) -> SamplePage:
    """Make a page of a blog with this main content."""
    site = pick_site(rng, "en", "blog")
    url = site.url(rng, title)
    main = f'<article class="post"><h1>{escape(title)}</h1><div class="entry-content">{inner}</div></article>'
    return SamplePage(url, rule, notes=notes, body=frame(rng, site, title, main).encode())


def stub(rng: Random) -> SamplePage:
    """The beginning of an article: fewer than fifty words."""
    article = write_article(rng)
    words = " ".join(article.paragraphs[:2]).split()[: 46 - len(article.title.split())]
    return text_page(rng, "gopher_quality.words", article.title, [" ".join(words).rstrip(".,") + "."], ("page:stub",))


def login(rng: Random) -> SamplePage:
    """A form and nothing to read."""
    site = pick_site(rng)
    url = site.url(rng, "Sign in")
    html = frame(rng, site, "Sign in", fill("login", site))
    return SamplePage(url, "extract.chars", notes=("page:login",), body=html.encode())


def gallery(rng: Random) -> SamplePage:
    """Pictures with captions of two words: too little to identify a language."""
    site = pick_site(rng, "en", "news")
    names = make_names(rng)
    caption = "{Harbour|Bridge|Old mill|Square} {at dawn|in snow|, <t1>}"
    figures = "".join(
        f'<figure class="tile"><img src="/g/{i}.jpg"><figcaption>{spin(rng, caption, names)}</figcaption></figure>'
        for i in range(12)
    )
    html = frame(rng, site, "Pictures", f'<h1>Pictures</h1><div class="gallery">{figures}</div>')
    return SamplePage(site.url(rng, "Pictures"), "language.score", notes=("page:gallery",), body=html.encode())


def home(rng: Random) -> SamplePage:
    """The start page of a site: teasers that end in an ellipsis, and links."""
    site = pick_site(rng, "en", "news", "blog")
    cards = []
    for topic in rng.sample(site.topics, 8):
        article = write_article(rng, site.language, topic, bodies=(0, 0))
        cut = " ".join(article.paragraphs[0].split()[: rng.randint(14, 22)]).rstrip(".,;:")
        cards.append(fill("teaser", site, number=rng.randint(1, 9999), title=escape(article.title), text=escape(cut)))
    html = frame(rng, site, site.name, "\n".join(cards))
    url = f"https://{site.host}/?edition={rng.randint(2, 9999)}"
    return SamplePage(url, "gopher_quality.ellipsis_line_ratio", notes=("page:home",), body=html.encode())


def repeated_lines(rng: Random) -> SamplePage:
    phrases = Phrases(rng, "call")
    call = phrases.one("call")
    lines = [line for other in phrases.some(7) for line in (other, call)]
    return text_page(rng, "gopher_repetition.dup_line_frac", phrases.one("title"), lines)


def repeated_long_line(rng: Random) -> SamplePage:
    phrases = Phrases(rng, "notice")
    long = phrases.one()
    items = phrases.some(9, "item")
    lines = [*items[:3], long, *items[3:6], long, *items[6:], long]
    return text_page(rng, "gopher_repetition.dup_line_char_frac", "On the board", lines)


def top_2_gram(rng: Random) -> SamplePage:
    phrases = Phrases(rng, "sheds")
    title = phrases.one("title")
    return text_page(rng, "gopher_repetition.top_2_gram", title, dict.fromkeys(phrases.some(10)))


def search_phrase(rng: Random, rule: str, phrase: str, share: float) -> SamplePage:
    """Lines that all end in a search phrase. `share` is the share of the phrase in the text."""
    leads = rng.sample(("by", "ask", "with", "thank", "see", "not without", "says one of", "for", "like", "try"), 9)
    words = cycle(" ".join(_sentences(rng, 40)).split())
    lines = []
    for lead in leads:
        line = next(words).capitalize()
        while len(line) + len(lead) < len(phrase) / share - len(phrase) - 8:
            line = f"{line} {next(words)}"
        lines.append(f"{line.rstrip('.,;:!?')}, {lead} {phrase}.")
    return text_page(rng, f"gopher_repetition.{rule}", phrase[0].upper() + phrase[1:], lines)


def _sentences(rng: Random, count: int, *topics: str) -> list[str]:
    """Different sentences from articles on one of these topics, without quotation marks."""
    topic = rng.choice(topics) if len(topics) > 1 else "".join(topics)
    found: dict[str, None] = {}
    while len(found) < count:
        found |= dict.fromkeys(s for s in write_article(rng, "en", topic).sentences if '"' not in s)
    return list(found)[:count]


def dup_5_gram(rng: Random) -> SamplePage:
    phrases = Phrases(rng, "disclaimer")
    same = phrases.one()
    lines = [f"{tail} {same}" for tail in phrases.some(5, "tail")]
    return text_page(rng, "gopher_repetition.dup_5_gram", phrases.one("title"), lines)


def dup_10_gram(rng: Random) -> SamplePage:
    """Thirty words come twice and make 11% of the text: too much for 10-grams, but not for 5- to 9-grams."""
    article = write_article(rng, "en", "council", bodies=(7, 8))
    # only sentences that this pattern and the rule split into the same words
    sentences = [s for s in article.sentences if not re.search("[\"'-]", s)]
    parts = re.findall(r"\w+|[^\w\s]|\s+", " ".join(sentences))
    words = [i for i, part in enumerate(parts) if not part.isspace()]
    repeated = "".join(parts[: words[29] + 1])
    room = len("".join(repeated.split())) / 0.112 - len(repeated) - 60
    text = ""
    for sentence in article.sentences:
        if len(text) + len(sentence) < room:
            text = f"{text} {sentence}".strip()
    return text_page(rng, "gopher_repetition.dup_10_gram", article.title, [text, f"They wrote it twice: {repeated}"])


def long_words(rng: Random) -> SamplePage:
    phrases = Phrases(rng, "longwords")
    words = [phrases.one("word") for _ in range(63)]
    lines = [f"{' '.join(words[i : i + 6])} and the {words[i + 6]}.".capitalize() for i in range(0, 63, 7)]
    return text_page(rng, "gopher_quality.mean_word_length", phrases.one("title"), lines)


def short_words(rng: Random) -> SamplePage:
    phrases = Phrases(rng, "words")
    lines = [" ".join(phrases.one("short") for _ in range(12)).capitalize() + "." for _ in range(7)]
    return text_page(rng, "gopher_quality.mean_word_length", "As we go", lines)


def hashtags(rng: Random) -> SamplePage:
    lines = []
    for sentence in _sentences(rng, 9, "coastwalk"):
        tags = re.findall(r"[a-z]{4,}", sentence)
        lines.append(f"{sentence} {' '.join(f'#{tag}' for tag in tags[: 2 + len(sentence.split()) // 5])}")
    return text_page(rng, "gopher_quality.hash_ratio", "Our week in pictures", lines)


def dots(rng: Random) -> SamplePage:
    lines = []
    for sentence in _sentences(rng, 10, "piano"):
        words = sentence.rstrip(".!?").split()
        lines.append("... ".join(" ".join(words[i : i + 3]) for i in range(0, len(words), 3)) + ".")
    return text_page(rng, "gopher_quality.ellipsis_ratio", "so... where was I", lines)


def bullets(rng: Random) -> SamplePage:
    lines = _sentences(rng, 16, "garden", "bread", "bees", "money")
    items = "\n".join(f"<li>{escape(line, quote=False)}</li>" for line in lines)
    return html_page(rng, "gopher_quality.bullet_line_ratio", "In short", f"<ul>{items}</ul>")


def numbers(rng: Random) -> SamplePage:
    phrases = Phrases(rng, "readings")
    rows = "".join(
        f"<tr><td>{day}</td><td>{rng.uniform(2, 19):.1f}</td><td>{rng.uniform(5, 29):.1f}</td>"
        f"<td>{rng.randint(960, 1040)}</td><td>{rng.uniform(0, 30):.1f}</td></tr>"
        for day in range(1, 29)
    )
    inner = f"<p>{phrases.one()}</p><table>{rows}</table>"
    return html_page(rng, "gopher_quality.alpha_ratio", phrases.one("title"), inner)


def keywords(rng: Random) -> SamplePage:
    phrases = Phrases(rng, "words")
    lines = []
    for _ in range(9):
        pairs = [phrases.one(part) for part in ("adjective", "noun") * 3]
        words = [phrases.one("offer"), *pairs, phrases.one("offer"), phrases.one("more")]
        lines.append(" ".join(words).capitalize())
    return text_page(rng, "gopher_quality.stop_words", "Leather handbags online shop", lines)


def lorem(rng: Random) -> SamplePage:
    line = load_topics("cases")["c4lines"]["lorem"][0]
    return article_page(rng, "c4.lorem_ipsum", site=pick_site(rng, "en", "news"), extra=paragraph(line))


def curly(rng: Random) -> SamplePage:
    line = Phrases(rng, "c4lines").one("curly").replace("OPEN", "{").replace("CLOSE", "}")
    return article_page(rng, "c4.curly_bracket", site=pick_site(rng, "en", "docs"), extra=paragraph(line))


def run_on(rng: Random) -> SamplePage:
    """Some three hundred words in three sentences."""
    article = write_article(rng, "en", rng.choice(("garden", "coastwalk", "piano", "bread")))
    joins = load_topics("cases")["runon"]["join"]
    lines = []
    for i in (0, 2, 4):
        text = " ".join(article.paragraphs[i : i + 2]).replace('"', "")
        clauses = filter(None, map(str.strip, _SENTENCE_END.split(text)))
        lines.append(f" {rng.choice(joins)} ".join(clauses) + ".")
    return text_page(rng, "c4.sentences", article.title, lines)


def removed_line(rng: Random, part: str) -> SamplePage:
    """A page that is kept without the line or the mark that C4's rules remove."""
    if part == "line_long_word":
        line = re.sub(r"\W", "", "".join(_sentences(rng, 30)))[:1200] + " has no spaces."
    else:
        line = Phrases(rng, "c4lines").one(part)
    site = pick_site(rng, "en", "news")
    # a long article, because a word of a thousand letters raises the mean word length
    article = site.article(rng, bodies=(8, 9))
    return article_page(rng, site=site, article=article, extra=paragraph(line), notes=(f"c4:{part}",))


def headlines(rng: Random) -> SamplePage:
    lines = [line.rstrip(".!?") for line in _sentences(rng, 14) if len(line) > 40]
    return text_page(rng, "fineweb.line_punct_ratio", "All stories of the week", lines)


def verse(rng: Random) -> SamplePage:
    """Sentences broken into lines of four words. The last line of each sentence takes the rest, too."""
    lines = []
    for sentence in _sentences(rng, 12, "garden", "bees", "coastwalk"):
        words = sentence.split()
        last = len(words) - len(words) % 4 - 4
        lines += [" ".join(words[i : i + 4]) for i in range(0, last, 4)]
        lines.append(" ".join(words[last:]))
    return text_page(rng, "fineweb.short_line_ratio", "Lines for a narrow page", dict.fromkeys(lines))


def repeated_hint(rng: Random) -> SamplePage:
    article = write_article(rng, bodies=(7, 9))
    hint = Phrases(rng, "c4lines").one("again")
    lines = [line for i, p in enumerate(article.paragraphs) for line in ((p, hint) if i in (1, 4, 6) else (p,))]
    return text_page(rng, "fineweb.char_dup_ratio", article.title, lines)


def three_word_lines(rng: Random) -> SamplePage:
    """Three words a line, with more than thirty characters in half of the lines."""
    phrases = Phrases(rng, "triples")
    pool = list(dict.fromkeys(phrases.some(120)))
    long, short = ([line for line in pool if (len(line) > 31) == is_long] for is_long in (True, False))
    lines = [line for pair in zip(long[:16], short, strict=False) for line in pair]
    lines = [f"{line}." if i % 7 == 0 else line for i, line in enumerate(lines)]
    return text_page(rng, "fineweb.newline_ratio", phrases.one("title"), lines)


def mixed_languages(rng: Random) -> SamplePage:
    """Seven English lines and five in other languages: English is the likeliest, but not likely."""
    english = [s for s in _sentences(rng, 30) if len(s.split()) > 10][:7]
    lines = []
    for i, language in enumerate(("de", "fr", "es", "it", "pt")):
        other = next(s for s in write_article(rng, language).sentences if len(s.split()) > 10)
        lines += [" ".join(english[i].split()[:9]) + ".", " ".join(other.split()[:12]) + "."]
    return text_page(rng, "language.score", "Mixed post bag", [*lines, *english[5:]])


def same_text(rng: Random) -> list[SamplePage]:
    """The same bytes under two or three addresses."""
    page = article_page(rng, notes=("duplicate:exact",))
    queries = rng.sample(("?utm_source=letter", "?print=1", "?ref=home", "?from=rss"), rng.randint(1, 2))
    return [replace(page, url=page.url + query, cluster=page.url) for query in ("", *queries)]


_AGENCY_NOTES = ("(Agency report)", "This text came from a partner.", "It was first printed on Monday.")


def syndicated(rng: Random) -> list[SamplePage]:
    """One article on two to five sites: other frames and dates, a note of the agency, an edited sentence."""
    first = pick_site(rng, "en", "news")
    article = first.article(rng, bodies=(6, 8))
    pages: list[SamplePage] = []
    for i in range(rng.randint(2, 5)):
        site = first if i == 0 else pick_site(rng, "en", "news", "blog")
        text = list(article.paragraphs)
        if i:
            text[-1] = f"{text[-1]} {rng.choice(_AGENCY_NOTES)}"
        if i > 1:
            text[1] = text[1].rpartition(". ")[0] + "."
        title = article.title if i % 2 == 0 else f"{article.title} ({rng.randint(2, 9)} min)"
        version = replace(article, title=title, paragraphs=tuple(text))
        page = article_page(rng, site=site, article=version, notes=("duplicate:near",))
        pages.append(replace(page, cluster=(pages or [page])[0].url))
    return pages


TEXT_CASES: tuple[Callable[[Random], SamplePage | list[SamplePage]], ...] = (
    stub, login, gallery, home, repeated_lines, repeated_long_line, top_2_gram,
    partial(search_phrase, rule="top_3_gram", phrase="plumbers in Brackenridge", share=0.22),
    partial(search_phrase, rule="top_4_gram", phrase="emergency locksmiths around Yarrowby", share=0.2),
    dup_5_gram, dup_10_gram, long_words, short_words, hashtags, dots, bullets, numbers, keywords, lorem, curly, run_on,
    *(partial(removed_line, part=part) for part in ("line_javascript", "line_policy", "citations", "line_long_word")),
    headlines, verse, repeated_hint, three_word_lines, mixed_languages, same_text, syndicated, same_text, syndicated,
)  # fmt: skip
"""Functions that each make another page, or another cluster of pages, with each call."""
