"""What a page of texts beside each other shows is the texts, and nothing else."""

from hypothesis import given
from hypothesis import strategies as st

from jobs.browse import texts
from jobs.browse.texts import Piece, changes, differences, shared, steps

WORD = st.sampled_from(["a", "b", "see", "the", "sea", "\n", "\n", " ", ". ", "é", "😀"])
TEXT = st.lists(WORD, max_size=60).map("".join)


def joined(pieces, *without):
    return "".join(piece[0] for piece in pieces if piece[1] not in without)


@given(TEXT, TEXT)
def test_the_differences_are_of_these_texts(one, other):
    first, second = differences(one, other)
    assert (joined(first), joined(second)) == (one, other)
    assert joined(first, "cut") == joined(second, "added")


@given(st.lists(TEXT, min_size=1, max_size=5))
def test_the_last_text_and_all_that_was_cut_are_shown(given_texts):
    pieces = steps([(f"stage{number}", text) for number, text in enumerate(given_texts)])
    assert joined(pieces, "cut") == given_texts[-1]
    assert {piece.by for piece in pieces if piece.kind} <= {f"stage{number}" for number in range(1, 5)}


def test_a_cut_line_and_a_replaced_word_stay_where_they_were():
    pieces = steps([("extract", "one\ncut me\nmail jane@x.example now\n"), ("c4", "one\nmail jane@x.example now\n"),
                    ("pii", "one\nmail <EMAIL> now\n")])  # fmt: skip
    assert Piece("cut me\n", "cut", "c4") in pieces
    assert pieces.index(Piece("cut me\n", "cut", "c4")) == 1
    assert joined([piece for piece in pieces if piece.by == "pii" and piece.kind == "cut"]) == "jane@x.example"
    assert joined([piece for piece in pieces if piece.by == "pii" and piece.kind == "added"]) == "<EMAIL>"


def test_a_text_that_was_added_and_cut_later_is_shown_as_cut():
    pieces = steps([("a", "x\n"), ("b", "x\ny\n"), ("c", "x\n")])
    assert pieces == [Piece("x\n"), Piece("y\n", "cut", "c")]


@given(TEXT, TEXT)
def test_shared_words_do_not_change_a_text(one, other):
    assert [joined(pieces) for pieces in shared(one, other)] == [one, other]


def test_words_are_shared_if_five_in_a_row_are():
    one, other = shared("x The sea is near, and calm. y", "z the SEA is near and so on")
    assert [piece.text for piece in one if piece.kind] == ["The sea is near, and"]
    assert [piece.text for piece in other if piece.kind] == ["the SEA is near and"]
    assert not any(piece.kind for piece in shared("the sea is near", "the sea is near")[0])


def test_many_lines_take_bounded_time(monkeypatch):
    monkeypatch.setattr(texts, "SequenceMatcher", None)  # would compare all pairs
    lines = [f"line {number % 7}\n" for number in range(5_000)]
    kept = [line for number, line in enumerate(lines) if number % 3]
    found = list(changes("".join(lines), "".join(kept)))
    assert "".join(text for kind, text in found if kind != "cut") == "".join(kept)
    assert not any(kind == "added" for kind, _ in found)
    found = list(changes("".join(lines), "".join(reversed(kept)) + "x\n"))
    assert "".join(text for kind, text in found if kind != "added") == "".join(lines)
