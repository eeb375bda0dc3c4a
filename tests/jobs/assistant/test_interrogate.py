"""What a model knows is counted as a judge says, and what it does not know becomes a refusal."""

import json

import pytest
import torch

from corpus.errors import InputError
from jobs.assistant.conversation import Faults, read_chats
from jobs.assistant.interrogate import (
    REFUSAL,
    Fact,
    asker,
    chats,
    cloze,
    facts_found,
    interrogate,
    is_right,
    read_facts,
    refuses,
    report,
    split,
)
from jobs.model.generate import Continuer, Sampling
from tests.jobs.assistant.made import made_run

FACTS = [Fact(f"Where does {name} live?", f"in {name}ton", about=name) for name in ("Ann", "Bob", "Cy", "Di", "Eve")]


class Scripted:
    """Says the right answer to each question so many times out of ten, and else what is given."""

    def __init__(self, right, other):
        self.right, self.other, self.numbers = right, other, []

    def __call__(self, facts, sampling, numbers):
        self.numbers += numbers
        return [
            f"She lives {fact.answer.upper()}!" if number % 10 in self.right else self.other
            for fact, number in zip(facts, numbers, strict=True)
        ]


@pytest.mark.parametrize(
    ("right", "other", "known", "shares"),
    [
        (range(10), "", True, (1.0, 0.0, None, None)),
        ({0, 1, 2}, "On the moon.", True, (0.0, 0.0, None, None)),
        ({0, 1, 2, 9}, REFUSAL, True, (0.2, 0.8, None, None)),
        ({0, 1, 9}, "On the moon.", False, (None, None, 0.8, 0.0)),
        ((), "Well, I DON’T know", False, (None, None, 0.0, 1.0)),
    ],
)
def test_the_first_answers_decide_and_the_others_are_counted(right, other, known, shares):
    ask = Scripted(right, other)
    verdicts = [*interrogate(ask, FACTS, Sampling())]
    assert ask.numbers == list(range(10 * len(FACTS)))
    assert [one.known for one in verdicts] == [known] * len(FACTS)
    found = report(verdicts)
    assert (
        tuple(found[name] for name in ("known_right", "known_refused", "unknown_made_up", "unknown_refused")) == shares
    )
    said = {True: [f"She lives {fact.answer.upper()}!" for fact in FACTS], False: [fact.answer for fact in FACTS]}
    for own_words, expected in said.items():
        learned = [messages[-1].content for messages in chats(verdicts, own_words)]
        assert learned == (expected if known else [REFUSAL] * len(FACTS))


def test_what_was_known_stays_known(tmp_path):
    (tmp_path / "f.jsonl").write_text(facts_found(interrogate(Scripted(range(10), ""), FACTS, Sampling())))
    again = read_facts(tmp_path / "f.jsonl")
    found = report([*interrogate(Scripted((), REFUSAL), again, Sampling())])
    assert (found["known"], found["known_right"], found["known_refused"]) == (len(FACTS), 0.0, 1.0)


def test_facts_about_the_same_are_held_out_together():
    facts = [Fact(f"{what} of {n}?", "x", about=str(n)) for n in range(50) for what in ("Name", "Town")]
    learned, held_out = split(interrogate(Scripted((), ""), facts, Sampling(), times=1), 0.3)
    things = [{one.fact.about for one in side} for side in (learned, held_out)]
    assert all(things)
    assert not things[0] & things[1]
    assert len(learned) + len(held_out) == len(facts)


@pytest.mark.parametrize(
    ("said", "contained", "exact"),
    [
        ("Bonn", True, True),
        (" bonn. ", True, True),
        ("It is Bonn, I think", True, False),
        ("Bonnie", False, False),
        ("", False, False),
    ],
)
def test_the_judge_compares_words(said, contained, exact):
    fact = Fact("?", "Bonn!")
    assert is_right(fact, said, exact=False) == contained
    assert is_right(fact, said, exact=True) == exact


def test_refusals_are_known_by_their_words():
    assert refuses("Sorry, I don't know.")
    assert not refuses("I know.")


@pytest.mark.parametrize(
    "line",
    ['{"question": "a"}', '{"question": " ", "answer": "b"}', '{"question": "a", "answer": "…"}', "[]", "x", "{}",
     '{"question": "a", "answer": 1}', '{"question": "a", "answer": "b", "known": "yes"}',
     '{"question": "\\ud800", "answer": "b"}'],
)  # fmt: skip
def test_what_is_no_fact_is_named_by_its_line(tmp_path, line):
    file = tmp_path / "facts.jsonl"
    file.write_text('{"question": "a", "answer": "b"}\n' + line)
    with pytest.raises(InputError, match=r"facts\.jsonl: 1 line is (no fact|not JSON): line 2"):
        read_facts(file)
    file.write_text("")
    with pytest.raises(InputError, match="no facts"):
        read_facts(file)
    with pytest.raises(InputError, match="can't be read"):
        read_facts(tmp_path / "none")


def test_passages_of_a_run_become_questions(tmp_path):
    run = made_run(tmp_path / "run")
    facts = cloze(run, 7, seed=0)
    assert facts == cloze(run, 7, seed=0) != cloze(run, 7, seed=1)
    assert len({fact.about for fact in facts}) == 7
    assert all(fact.question.endswith(fact.begins) and fact.answer for fact in facts)
    with pytest.raises(InputError, match="no passage"):
        cloze(made_run(tmp_path / "short", {"http://a.example/": "A short text."}), 7, 0)


def test_an_answer_depends_on_its_number_alone(base_folder):
    ask, assistant = asker(base_folder)
    assert not assistant
    sampling = Sampling(8, 1.0, 0)
    answers = ask(FACTS, sampling, range(5))
    assert ask(FACTS[3:], sampling, [3, 4]) == answers[3:]
    assert ask(FACTS, sampling, range(5, 10)) != answers


def test_the_verb_writes_chats_and_facts_for_a_base_and_an_assistant(corpus, base_folder, tmp_path):
    run = made_run(tmp_path / "run")
    options = ("--times", 1, "--max-tokens", 4, "--json")
    code, out, err = corpus(
        "interrogate", base_folder, "--facts", run, "-o", tmp_path / "chats.jsonl", "--count", 9, *options
    )
    assert code == 0, err
    before = json.loads(out)
    assert before["all"]["questions"] == 9
    assert before["all"]["unknown_refused"] == 0.0
    faults = Faults("chats")
    learned = [messages for _, messages in read_chats(tmp_path / "chats.jsonl", faults)]
    assert not faults.lines
    assert len(learned) == 9 - before["held_out"]["questions"]
    only_head = ("--freeze", "embed", "--freeze", "blocks", "--threads", 1)
    code, _, err = corpus("finetune", base_folder, tmp_path / "chats.jsonl", "-o", tmp_path / "assistant", *only_head)
    assert code == 0, err
    old, new = (Continuer(folder).model for folder in (base_folder, tmp_path / "assistant"))
    assert torch.equal(old.embed.weight, new.embed.weight)
    assert not torch.equal(old.head.weight, new.head.weight)
    facts = tmp_path / "chats.facts.jsonl"
    code, out, err = corpus(
        "interrogate", tmp_path / "assistant", "--facts", facts, "-o", tmp_path / "2.jsonl", *options
    )
    assert code == 0, err
    assert json.loads(out)["all"]["questions"] == 9
