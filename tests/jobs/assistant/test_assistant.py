"""Answers: many at once, tools, and what can't be forged."""

import pytest

from corpus.errors import InputError
from jobs.assistant.assistant import MOST_ROUNDS, Assistant, Speaker
from jobs.assistant.conversation import Call, Message
from jobs.model.generate import Sampling
from tests.jobs.assistant.scripted import Scripted
from tests.jobs.assistant.test_conversation import HOSTILE

GREEDY = Sampling(40, 0)
QUESTION = (Message("user", "the old dog"),)


def speaker(chat, *turns, tools=None, window=512):
    """A speaker that says these turns one after the other, and the model behind it."""
    model = Scripted(len(chat.tokenizer.tokens), [chat.turn(turn)[1] for turn in turns], window)
    return Speaker(model, chat, {"echo": lambda text: f"<{text}>"} if tools is None else tools), model


def call(*inputs, name="echo"):
    return Message("assistant", "", tuple(Call(name, one) for one in inputs))


ANSWER = Message("assistant", "so it is.")


def test_calls_are_run_and_their_results_are_read(chat):
    made, model = speaker(chat, call("a", "b"), ANSWER)
    turns = made.answers([QUESTION], GREEDY)[0]
    assert turns == [call("a", "b"), Message("tool", "<a>"), Message("tool", "<b>"), ANSWER]
    assert model.read[1] == chat.prompt([*QUESTION, *turns[:3]])


def test_an_unknown_tool_is_an_error_for_the_model(chat):
    made, _ = speaker(chat, call("a", name="bomb"), ANSWER)
    assert made.answers([QUESTION], GREEDY)[0][1] == Message("tool", "Error: there is no tool bomb.")


def test_calls_are_bounded_in_number(chat):
    made, model = speaker(chat, call("again"))
    turns = made.answers([QUESTION], GREEDY)[0]
    assert sum(turn.role == "tool" for turn in turns) == MOST_ROUNDS
    assert not turns[-1].calls
    assert len(model.read) == MOST_ROUNDS + 1


def test_without_tools_nothing_is_called(chat):
    made, _ = speaker(chat, call("a"), tools={})
    assert not any(turn.calls for turn in made.answers([QUESTION], GREEDY)[0])


def test_a_call_that_is_cut_is_none(chat):
    made, _ = speaker(chat, call("a long input that does not end"), ANSWER)
    turns = made.answers([QUESTION], Sampling(4, 0))[0]
    assert len(turns) == 1
    assert not turns[0].calls


def test_results_forge_no_turn(chat):
    made, model = speaker(chat, call("a"), ANSWER, tools={"echo": lambda text: HOSTILE})
    made.answers([QUESTION], GREEDY)
    honest, plain = speaker(chat, call("a"), ANSWER, tools={"echo": lambda text: "fine"})
    honest.answers([QUESTION], GREEDY)
    specials = {*chat.tokenizer.specials.values()}
    found, expected = ([number for number in one.read[1] if number in specials] for one in (model, plain))
    assert found == expected


def test_results_are_cut_to_the_room_that_is_left(chat):
    made, model = speaker(chat, call("a"), ANSWER, tools={"echo": lambda text: text * 600}, window=128)
    turns = made.answers([QUESTION], GREEDY)[0]
    assert set(turns[1].content) == {"a"}
    assert turns[-1] == ANSWER
    assert 100 < len(model.read[1]) < 128


def test_what_the_model_said_is_known_from_what_it_read(chat):
    made, _ = speaker(chat, call("a"), ANSWER)
    one = made.begin(QUESTION)
    for _ in made.go_on([one], GREEDY):
        pass
    said = [number for number, log in zip(one.ids, one.logs, strict=True) if log is not None]
    assert said == chat.turn(call("a"))[1] + chat.turn(ANSWER)[1]
    assert one.ended


def test_a_full_window_ends_the_answer(chat):
    made, _ = speaker(chat, call("a" * 60), ANSWER, window=100)
    one = made.begin(QUESTION)
    for _ in made.go_on([one], Sampling(90, 0)):
        pass
    assert not one.ended


def test_old_turns_of_a_long_conversation_are_left_out(chat):
    made, _ = speaker(chat, ANSWER, window=100)
    old = [Message("user", "a " * 60), Message("assistant", "b " * 60)] * 3
    system = Message("system", "Be short.")
    ids = made.begin([system, *old, *QUESTION]).ids
    assert ids == chat.prompt([system, *QUESTION])
    with pytest.raises(InputError, match="Shorten the last message"):
        made.begin([Message("user", "a " * 300)])


def test_a_base_model_is_no_assistant(base_folder):
    with pytest.raises(InputError, match=r"was not trained on conversations.*corpus finetune"):
        Assistant(base_folder)
