"""The contract of all lessons, and the rules of each."""

from itertools import islice

import pytest

from jobs.assistant.conversation import Message, check_order
from jobs.assistant.lessons import LESSONS, sums
from jobs.assistant.lessons.lesson import asked

COUNT = 60


@pytest.mark.parametrize("name", LESSONS)
def test_conversations_are_whole_and_their_answers_are_right(name):
    lesson = LESSONS[name]
    for messages in islice(lesson.conversations(0), COUNT):
        check_order(messages)
        at = 1 + max(place for place, message in enumerate(messages) if message.role == "user")
        assert lesson.reward(messages[:at], messages[at:]) == 1
        wrong = Message("assistant", "The answer is nothing at all.")
        assert lesson.reward(messages[:at], [*messages[at:-1], wrong]) < 1


@pytest.mark.parametrize("name", LESSONS)
def test_the_seed_decides_the_conversations_and_the_problems(name):
    def first(seed):
        lesson = LESSONS[name]
        return [list(islice(made, COUNT)) for made in (lesson.conversations(seed), lesson.prompts(seed, False))]

    assert first(1) == first(1)
    assert first(1) != first(2)


@pytest.mark.parametrize("name", LESSONS)
def test_held_out_problems_are_in_no_training(name):
    lesson = LESSONS[name]
    trained = {messages[: len(prompt)] for seed in range(3) for messages in islice(lesson.conversations(seed), COUNT)
               for prompt in [messages[:-1]]}  # fmt: skip
    trained |= {prompt for seed in range(3) for prompt in islice(lesson.prompts(seed, False), COUNT)}
    trained = {next(one.content for one in messages if one.role == "user") for messages in trained}
    for prompt in islice(lesson.prompts(1_000_000, True), COUNT):
        assert prompt[-1].content not in trained


@pytest.mark.parametrize(
    ("answer", "worth"),
    [
        ("7 + 5 = 12\n12 * 2 = 24\n24 - 3 = 21\nThe answer is 21.", 1),
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
