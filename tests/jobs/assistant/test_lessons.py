"""Every lesson gives answers that its reward takes, and tests on problems that its training never has."""

import json
import re
from itertools import islice

import pytest

from corpus.errors import ConfigError, InputError
from jobs.assistant.conversation import Call, ChatFormat, Message, check_order, messages_of
from jobs.assistant.lessons import LESSONS, arithmetic, lesson_of
from jobs.assistant.lessons.identity import Identity, read_identity
from jobs.assistant.lessons.lesson import Given
from jobs.assistant.search import write_index
from jobs.assistant.tools import tools_of, use
from tests.bpe import small_tokenizer
from tests.jobs.assistant.made import made_run

COUNT = 150


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lessons")
    write_index(made_run(folder / "run"), folder / "index.sqlite")
    (folder / "me.json").write_text(json.dumps({"name": "Ada", "maker": "Lovelace Ltd", "date": "May 2026"}))
    return Given(folder / "me.json", folder / "index.sqlite")


def parts(messages):
    """The prompt of a conversation, and the turns after it."""
    after = next(at for at, message in enumerate(messages) if message.role == "user") + 1
    return messages[:after], messages[after:]


@pytest.mark.parametrize("name", LESSONS)
def test_a_lesson_teaches_what_it_rewards(name, given):
    lesson = lesson_of(name, given)
    tools = tools_of(given.index)
    calling = 0
    for messages in islice(lesson.conversations(0), COUNT):
        check_order(messages)
        assert messages_of({"messages": [one.as_dict() for one in messages]}) == messages
        prompt, turns = parts(messages)
        calls = [call for turn in turns for call in turn.calls]
        results = [turn.content for turn in turns if turn.role == "tool"]
        assert results == [use(tools, call.name, call.input) for call in calls]
        calling += bool(calls)
        if name != "self-system":  # its test has an identity that no training has
            assert lesson.reward(prompt, turns) == 1
        for wrong in ("", turns[-1].content + " ", turns[-1].content + "1", "The answer is"):
            assert lesson.reward(prompt, [*turns[:-1], Message("assistant", wrong)]) == 0
    assert (calling > COUNT / 2) == (name in ("spelling", "tools", "recall"))


@pytest.mark.parametrize("name", LESSONS)
def test_held_out_problems_are_in_no_training(name, given):
    lesson = lesson_of(name, given)
    learned = {messages[-1].content for messages in islice(lesson.prompts(0, False), COUNT)}
    learned |= {parts(messages)[0][-1].content for messages in islice(lesson.conversations(0), COUNT)}
    tested = {messages[-1].content for messages in islice(lesson.prompts(1, True), COUNT)}
    assert tested
    assert not learned & tested
    assert list(islice(lesson.prompts(1, True), 9)) == list(islice(lesson.prompts(1, True), 9))
    assert list(islice(lesson.conversations(1), 9)) != list(islice(lesson.conversations(2), 9))


def test_a_passage_is_on_one_side(given):
    lesson = lesson_of("recall", given)
    search = tools_of(given.index)["search"]

    def passages(prompts):
        return {search(prompt[-1].content.split("\n")[1]) for prompt in prompts}

    learned = passages(islice(lesson.prompts(0, False), COUNT))
    assert not learned & passages(islice(lesson.prompts(0, True), COUNT))
    assert len(learned) > 10


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
def test_what_is_copied_into_a_call_has_the_same_tokens(name, copied, given):
    """Else a small model could not copy it."""
    chat = ChatFormat(small_tokenizer())
    for messages in islice(lesson_of(name, given).conversations(3), 30):
        question = chat.encode(messages[0].content)
        for call in messages[1].calls:
            ids = chat.encode(re.search(copied, call.input)[0])
            assert any(question[at : at + len(ids)] == ids for at in range(len(question)))
