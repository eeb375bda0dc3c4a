"""C4's line cleaning and page rules, with one input each, and its decisions against those of the reference."""

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus.document import Document
from corpus.pipeline import Pipeline
from corpus.stage import BoundStage
from filters.c4 import C4
from tests.reference.c4_lines import cleaned
from tests.reference.sentences import count_by_tokens

GOOD = "It was a fine day."
PAGE = [GOOD] * 5
FREE = C4(terminal_punctuation=False)


def measured(stage, *lines):
    doc = Document(text="\n".join(lines))
    stage.prepare()
    return dict(stage.apply(doc)), doc.text


@pytest.mark.parametrize(
    ("line", "measure"),
    [
        ("this has a " + "x" * 1001 + " in it.", "line_long_word"),
        ("this line has no end mark", "line_no_end_mark"),
        ("this line has no end mark,", "line_no_end_mark"),
        ("this line trails off...", "line_no_end_mark"),
        ("Two words.", "line_few_words"),
        ("Please enable JavaScript in your browser.", "line_javascript"),
        ("This site uses cookies for fun.", "line_policy"),
        ("Read our Privacy Policy before that.", "line_policy"),
        ("See the terms of use below.", "line_policy"),
        ("A cookie policy is here.", "line_policy"),
        ("We use cookies on this site.", "line_policy"),
        ("By the use of cookies here.", "line_policy"),
    ],
)
def test_line_is_removed_and_counted(line, measure):
    values, text = measured(C4(), GOOD, line, GOOD)
    assert {name for name, value in values.items() if value} == {"sentences", measure}
    assert values[measure] == 1
    assert text == f"{GOOD}\n{GOOD}"


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (r"The area is \(\pi r^{2}\) for every circle.", False),
        (r"So \frac{a}{b} = \sqrt[3]{x_{i_{1}}} holds.", False),
        (r"{\displaystyle e^{x}} is its own derivative.", False),
        (r"The set \{1, 2\} has two elements.", False),
        (r"With ${a \over b}$ it is clear.", False),
        (r"\begin{align} x &= y \\ \end{align} is a line.", False),
        ("if (x) then { y = 1.", True),
        ("a.b { color: red } is a rule.", True),
        (r'printf("\n{%d}") prints it.', True),
        (r"\frac{a}{b} and then function() { return 1 } there.", True),
        ("It costs ${price} or {{ price }} now.", True),
        (r"}{ is odd, and so is \x{ here.", True),
    ],
)
@pytest.mark.parametrize("latex", [True, False])
def test_brackets_of_latex_are_no_code_if_asked(line, code, latex):
    assert C4(latex=latex).check("\n".join([*PAGE, line])).rule == ("curly_bracket" if code or not latex else "")


@pytest.mark.parametrize("size", [10, 60_000])
@pytest.mark.parametrize("unit", ["\\aa", "{", "}{", "\\frac{", "\\a[", "{ \\a", "^{}"])
def test_any_line_of_brackets_is_measured(unit, size):
    """A quadratic search would take minutes here."""
    assert measured(C4(latex=True, max_word_length=10**7, min_words_per_line=0), unit * size + ".")[0]["sentences"] >= 0


@pytest.mark.parametrize(
    "line",
    [
        "this has a " + "x" * 1000 + " in it.",
        'Now she said "stop"',
        "Now she said 'stop'",
        "Is this all?",
        "This is all!",
        "Now three words.",
        "Eat a cookie now.",
        "A java script ran.",
    ],
)
def test_line_stays(line):
    assert measured(C4(), line)[1] == line


def test_a_line_of_four_dots_ends_in_an_ellipsis():
    assert measured(C4(), "It trails off ....")[0]["line_no_end_mark"] == 1


def test_without_terminal_punctuation():
    assert measured(FREE, "this line has no end mark")[1] == "this line has no end mark"


@pytest.mark.parametrize(
    ("text", "cleaned", "citations"),
    [
        ("It is so[1] they say.[23]", "It is so they say.", 2),
        ("History and more [edit]", "History and more ", 1),
        ("It is so[citation needed] they say[].", "It is so they say.", 2),
        ("It is [a] or [1a] here.", "It is [a] or [1a] here.", 0),
    ],
)
def test_citations_are_cut_out(text, cleaned, citations):
    values, result = measured(FREE, text, GOOD)
    assert result == f"{cleaned}\n{GOOD}"
    assert values["citations"] == citations


def test_words_are_counted_before_citations_are_cut_out():
    values, text = measured(FREE, "Notes [1] [2]", GOOD)
    assert values["line_few_words"] == 0
    assert text == f"Notes  \n{GOOD}"


def test_a_line_of_citations_alone_is_no_sentence():
    assert measured(FREE, "[1] [2] [3]")[0]["sentences"] == 0


def test_the_end_of_a_line_is_judged_without_citations():
    assert measured(C4(), "It is so, they say.[23]")[1] == "It is so, they say."


@pytest.mark.parametrize(
    ("lines", "rule", "value"),
    [
        (["We have Lorem Ipsum here."], "lorem_ipsum", 1),
        (["if (x) then { y = 1."], "curly_bracket", 1),
        (["a { is here.", "another { is here."], "curly_bracket", 2),
        (["first a { line here.", "then lorem ipsum too."], "lorem_ipsum", 1),  # datatrove: curly_bracket
    ],
)
def test_page_is_dropped(lines, rule, value):
    outcome = C4().check("\n".join([*PAGE, *lines]))
    assert (outcome.outcome, outcome.rule, outcome.value, outcome.limit) == ("dropped", rule, value, 0)


@pytest.mark.parametrize(
    "line",
    ["{ here.", "Javascript has a { here.", "no end mark { here", "lorem ipsum", "x" * 1001 + " lorem ipsum { here."],
)
def test_brackets_in_lines_that_go_before_do_no_harm(line):
    assert C4().check("\n".join([*PAGE, line])).kept


def test_a_bracket_in_a_line_on_policies_counts():
    assert C4().check("\n".join([*PAGE, "We use cookies { here."])).rule == "curly_bracket"


def test_page_with_a_bracket_keeps_its_line_where_the_limit_is_off():
    stage = C4()
    limits = dict(C4.limits, curly_bracket=C4.limits["curly_bracket"].with_bounds("c4", {"max": "off"}))
    outcome = Pipeline([BoundStage("c4", stage, limits)]).judge(Document(text="\n".join([*PAGE, "a { is here."])))
    assert outcome.kept
    assert outcome.doc.text.endswith("a { is here.")


def test_sentences_are_those_of_the_lines_that_stay():
    assert C4().check("\n".join(PAGE)).kept
    outcome = C4().check("\n".join([*PAGE[1:], "no end mark. No end mark. No end mark"]))
    assert (outcome.rule, outcome.value, outcome.limit) == ("sentences", 4, 5)
    assert C4().check("It is. It was. It will be. It could be. It should.").kept


def test_blank_lines_and_spaces_around_lines_go():
    assert measured(FREE, "", "  a b c  ", "\t", "d e f\r")[1] == "a b c\nd e f"


def test_parameters():
    assert measured(C4(min_words_per_line=0), "Two words.", "")[1] == "Two words."
    assert measured(C4(max_word_length=4), "Three good words.")[0]["line_long_word"] == 1
    assert "JavaScript" in measured(C4(javascript_lines=True), "We use JavaScript here.")[1]
    assert measured(C4(policy_lines=True), "We use cookies here.")[1] == "We use cookies here."


@given(st.text(alphabet="ab. \n\u2028[]1{?!'\"cookies\ud800\0", max_size=200))
def test_every_line_is_kept_or_counted_once(text):
    values, _ = measured(C4(), text)
    removed = sum(value for name, value in values.items() if name.startswith("line_"))
    assert 0 <= removed <= len(text.splitlines())
    assert all(type(value) is int for value in values.values())


@given(st.text(alphabet="aB. \n\t\x85\x1c\u2028\xa0[]1{?!'\"cookies\ud800\0", max_size=200))
def test_the_stretches_and_sentences_of_what_is_left_are_those_of_a_new_document(text):
    doc = Document(text=text)
    values = dict(C4(terminal_punctuation=False, min_words_per_line=1).apply(doc))
    again = Document(text=doc.text)
    assert doc.words().strings == again.words().strings
    assert values["sentences"] == sum(count_by_tokens(line) for line in doc.text.split("\n"))


PIECES = [
    *"aB12 .?!'\"[]{}^_\\*\u212a\u0130\ud800\x85\u2028\u3000", "\n", "\r\n", "...", "[1]", "[٣]", "[edit]",
    "[citation needed]", "javascript", "JavaScript", "Lorem Ipsum", "Cookie policy", "use coo\u212aies",
    "Terms of Use", "\\frac", "{\\alpha", "}{", "x[1]y.", "One. Two", "e.g. ", "Mr. ", "1.5", "word " * 3,
]  # fmt: skip
STAGES = [
    C4(),
    C4(terminal_punctuation=False, latex=True),
    C4(min_words_per_line=0, max_word_length=4, javascript_lines=True),
    C4(policy_lines=True, min_words_per_line=1, language="de"),
]


@settings(max_examples=500)
@given(st.lists(st.sampled_from(PIECES), max_size=40).map("".join), st.sampled_from(STAGES))
def test_lines_and_measures_are_those_of_plain_python(text, stage):
    assert measured(stage, text) == cleaned(stage, text)


@pytest.mark.parametrize("step", [pytest.param(1, marks=pytest.mark.slow), 20])
def test_lines_of_real_pages_are_those_of_plain_python(shared_data, step):
    texts = pq.read_table(shared_data / "parity" / "datatrove_0.10.1.parquet", columns=["text"])["text"].to_pylist()
    for text in filter(None, texts[::step]):
        for stage in STAGES:
            assert measured(stage, text) == cleaned(stage, text)


def test_same_decisions_and_texts_as_datatrove(shared_data):
    rows = pq.read_table(shared_data / "parity" / "datatrove_0.10.1.parquet").to_pylist()
    rows = [row for row in rows if row["stage"] in (None, "c4", "fineweb")]
    assert len(rows) == 1347
    reasons = {"too_few_sentences": "sentences", "curly_bracket": "curly_bracket"}
    pipeline = Pipeline.of([FREE])
    for row in rows:
        outcome = pipeline.judge(Document(text=row["text"]))
        assert outcome.rule == (reasons[row["reason"]] if row["stage"] == "c4" else "")
        if row["stage"] is None:
            assert outcome.doc.text == row["final_text"]
