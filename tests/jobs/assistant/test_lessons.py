"""The contract of all lessons, and the rules of each."""

import json
import re
from itertools import islice

import pytest

from corpus.errors import ConfigError, InputError
from jobs.assistant.conversation import Call, Message, check_order
from jobs.assistant.lessons import LESSONS, arithmetic, lesson_of, sums
from jobs.assistant.lessons.identity import Identity, read_identity
from jobs.assistant.lessons.lesson import Given, asked
from jobs.assistant.lessons.recall import LEAST, QUOTED
from jobs.assistant.search import write_index
from jobs.assistant.tools import tools_of, use
from tests.jobs.assistant.made import made_run

COUNT = 60


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """The files that some lessons are made from."""
    folder = tmp_path_factory.mktemp("lessons")
    write_index(made_run(folder / "run"), folder / "index.sqlite")
    (folder / "me.json").write_text(json.dumps({"name": "Ada", "maker": "Lovelace Ltd", "date": "May 2026"}))
    return Given(folder / "me.json", folder / "index.sqlite")


@pytest.mark.parametrize("name", LESSONS)
def test_conversations_are_whole_and_their_answers_are_right(name, given):
    lesson = lesson_of(name, given)
    for messages in islice(lesson.conversations(0), COUNT):
        check_order(messages)
        at = 1 + max(place for place, message in enumerate(messages) if message.role == "user")
        assert lesson.reward(messages[:at], messages[at:]) == 1
        for wrong in ("The answer is nothing at all.", "", messages[-1].content + " ", messages[-1].content + "1"):
            assert lesson.reward(messages[:at], [*messages[at:-1], Message("assistant", wrong)]) < 1


@pytest.mark.parametrize("name", LESSONS)
def test_the_seed_decides_the_conversations_and_the_problems(name, given):
    def first(seed):
        lesson = lesson_of(name, given)
        return [list(islice(made, COUNT)) for made in (lesson.conversations(seed), lesson.prompts(seed, False))]

    assert first(1) == first(1)
    assert first(1) != first(2)


@pytest.mark.parametrize("name", LESSONS)
def test_held_out_problems_are_in_no_training(name, given):
    lesson = lesson_of(name, given)
    trained = {messages[: len(prompt)] for seed in range(3) for messages in islice(lesson.conversations(seed), COUNT)
               for prompt in [messages[:-1]]}  # fmt: skip
    trained |= {prompt for seed in range(3) for prompt in islice(lesson.prompts(seed, False), COUNT)}
    trained = {next(one.content for one in messages if one.role == "user") for messages in trained}
    for prompt in islice(lesson.prompts(1_000_000, True), COUNT):
        assert prompt[-1].content not in trained


@pytest.mark.parametrize(
    ("answer", "worth"),
    [
        ("7+5=12\n12*2=24\n24-3=21\nThe answer is 21.", 1),
        ("The answer is 21.", 1),
        ("The answer is 22.", 0),
        ("I think so.\nThe answer is 21.", 0),
        ("The answer is 21. The answer is 22.", 0),
        ("The answer is 22.\nThe answer is 21.", 0),
        ("", 0),
    ],
)
def test_a_sum_is_right_if_its_whole_form_is(answer, worth):
    assert sums.reward(asked("7, +5, *2, -3"), [Message("assistant", answer)]) == worth


def test_the_mixture_has_both_ways():
    answers = [messages[-1].content for messages in islice(LESSONS["sums-mixed"].conversations(0), 400)]
    assert 150 < sum(map(sums.has_steps, answers)) < 250


@pytest.mark.parametrize(("name", "calls"), [(name, name in ("spelling", "tools", "recall")) for name in LESSONS])
def test_results_in_conversations_are_those_of_the_tools(name, calls, given):
    tools = tools_of(given.index)
    calling = 0
    for messages in islice(lesson_of(name, given).conversations(0), COUNT):
        expected = [use(tools, call.name, call.input) for message in messages for call in message.calls]
        assert [message.content for message in messages if message.role == "tool"] == expected
        calling += bool(expected)
    assert calling > COUNT / 2 if calls else not calling


def test_a_passage_is_on_one_side(given):
    lesson = lesson_of("recall", given)
    search = tools_of(given.index)["search"]

    def passages(prompts):
        return {search(prompt[-1].content.split("\n")[1]) for prompt in prompts}

    learned = passages(islice(lesson.prompts(0, False), COUNT))
    assert not learned & passages(islice(lesson.prompts(0, True), COUNT))
    assert len(learned) > 10


def test_an_answer_goes_on_as_the_passage_does(given):
    """Three words are enough, and more are no fault, even if the last is cut."""
    lesson = lesson_of("recall", given)
    search, least = tools_of(given.index)["search"], QUOTED + LEAST

    def going_on(prompt, answer):
        passage, _, _ = search(prompt.content.split("\n")[1]).partition("\nSource: ")
        return passage[passage.index(answer.content) :].split()

    said = ((prompt, going_on(prompt, answer)) for prompt, *_, answer in lesson.conversations(0))
    prompt, words = next(one for one in said if len(one[1]) >= least + 3)

    def rewarded(text):
        return lesson.reward((prompt,), [Message("assistant", text)])

    assert [rewarded(" ".join(words[:count])) for count in range(least + 4)] == [0] * least + [1] * 4
    some, (following, later) = " ".join(words[:least]), words[least : least + 2]
    assert rewarded(f"{some} {following[:1]}") == 1
    assert not any(map(rewarded, (some[:-1], f"{some}x", f"{some} {later} {following}", some[1:])))


def test_a_forbidden_call_is_worth_nothing(given):
    lesson = lesson_of("tools", given)
    prompt = next(one for one in lesson.prompts(0, True) if one[0].role == "system")
    said = Message("assistant", arithmetic.CANNOT)
    assert lesson.reward(prompt, [said]) == 1
    call = Message("assistant", "", (Call("calculator", "1"),))
    assert lesson.reward(prompt, [call, Message("tool", "1"), said]) == 0


def test_the_identity_comes_from_the_file_or_the_system_message(given):
    trained = "".join(messages[-1].content for messages in islice(lesson_of("self", given).conversations(0), 99))
    assert all(text in trained for text in ("Ada", "Lovelace Ltd", "May 2026"))
    by_system = lesson_of("self-system", given)
    assert "Ada" not in "".join(messages[-1].content for messages in islice(by_system.conversations(0), 99))
    prompt = next(by_system.prompts(0, True))
    assert prompt[0] == Identity("Ada", "Lovelace Ltd", "May 2026").system()
    assert "Corpus" in "".join(
        messages[-1].content for messages in islice(lesson_of("self", Given()).conversations(0), 99)
    )


@pytest.mark.parametrize(
    "text",
    ["", "[]", "3", '{"name": ""}', '{"name": 1}', '{"nome": "x"}', '{"name": "\\ud800"}', '{"name": "a\\nb"}',
     f'{{"name": "{"x" * 101}"}}', "[" * 99999],
)  # fmt: skip
def test_what_is_no_identity_is_one_sentence(tmp_path, text):
    (tmp_path / "me.json").write_text(text)
    with pytest.raises(ConfigError, match=r"me\.json is no identity"):
        read_identity(tmp_path / "me.json")


def test_lessons_without_their_file_say_so(tmp_path):
    with pytest.raises(ConfigError, match="--index"):
        lesson_of("recall", Given())
    with pytest.raises(ConfigError, match="Did you mean spelling"):
        lesson_of("speling", Given())
    write_index(made_run(tmp_path / "run", {"http://a.example/": "A short text."}), tmp_path / "index")
    with pytest.raises(InputError, match="too few passages"):
        next(lesson_of("recall", Given(index=tmp_path / "index")).conversations(0))


@pytest.mark.parametrize(("name", "copied"), [("spelling", r'\w{4,}(?=")'), ("tools", r"\d+"), ("recall", ".+")])
def test_what_is_copied_into_a_call_has_the_same_tokens(name, copied, given, chat):
    """Else a small model could not copy it."""
    for messages in islice(lesson_of(name, given).conversations(3), 30):
        question = chat.encode(messages[0].content)
        for call in messages[1].calls:
            ids = chat.encode(re.search(copied, call.input)[0])
            assert any(question[at : at + len(ids)] == ids for at in range(len(question)))
