"""Calls in an answer: results come into the window as text, and no more of them than it has room for."""

from types import SimpleNamespace

import pytest

import jobs.assistant.assistant as module
from jobs.assistant.assistant import MOST_ROUNDS, Speaker
from jobs.assistant.conversation import Call, ChatFormat, Message
from jobs.model.generate import Drawn, Sampling
from tests.bpe import small_tokenizer
from tests.jobs.assistant.made import HOSTILE

ASKED = (Message("user", "What is it?"),)


@pytest.fixture(scope="module")
def chat():
    return ChatFormat(small_tokenizer())


@pytest.fixture
def speak(chat, monkeypatch):
    """Let a speaker say these turns, one in each round, and return its turns and the prompts of the rounds."""

    def speak(said, tools, window=512, asked=ASKED):
        prompts, replies = [], iter(said)

        def draw(model, given, sampling, ends, numbers, shown, banned):
            prompts.append(given[0])
            ids = chat.turn(next(replies))[1]
            assert set(ids).isdisjoint(banned)
            for at, number in enumerate(ids):
                yield Drawn(0, number, 0.0, (), at + 1 == len(ids))

        monkeypatch.setattr(module, "draw", draw)
        shape = SimpleNamespace(window=window, vocab_size=len(chat.tokenizer.tokens))
        speaker = Speaker(SimpleNamespace(shape=shape), chat, tools)
        (turns,) = speaker.answers([asked], Sampling())
        return turns, prompts

    return speak


def calling(*inputs):
    return Message("assistant", "", tuple(Call("search", one) for one in inputs))


def test_a_hostile_result_is_text_in_the_next_prompt(chat, speak):
    turns, prompts = speak([calling("zebra"), Message("assistant", "A crossing.")], {"search": lambda query: HOSTILE})
    assert [turn.content for turn in turns] == ["", HOSTILE, "A crossing."]
    specials = set(chat.tokenizer.specials.values())
    turn = [chat.start, chat.sep, chat.end]
    expected = [chat.tokenizer.bos, *turn, *turn[:2], chat.call, chat.sep, chat.end, *turn, *turn[:2]]
    assert [one for one in prompts[1] if one in specials] == expected
    assert HOSTILE in chat.text(prompts[1])


def test_results_are_cut_to_the_room_that_is_left(chat, speak):
    window = 128
    said = [calling("a", "b"), Message("assistant", "Yes.")]
    turns, prompts = speak(said, {"search": lambda query: query * 600}, window)
    assert len(prompts[1]) <= window * 7 // 8
    assert [set(turn.content) for turn in turns[1:3]] == [{"a"}, {"b"}]
    before = (Message("user", "x" * 40), Message("assistant", "y" * 40))
    turns, _ = speak(said, {"search": lambda query: query * 600}, window, before + ASKED)
    assert len(turns) == 4, "a long conversation keeps its tools"


def test_without_room_a_call_is_none(speak):
    turns, prompts = speak([calling("many words " * 40)], {"search": lambda query: "x"}, 128)
    assert len(prompts) == 1
    assert [turn.calls for turn in turns] == [()]


def test_rounds_are_bounded(speak):
    said = [calling("a")] * MOST_ROUNDS + [Message("assistant", "Enough.")]
    turns, prompts = speak(said, {"search": lambda query: "x"})
    assert len(prompts) == MOST_ROUNDS + 1
    assert turns[-1].content == "Enough."
