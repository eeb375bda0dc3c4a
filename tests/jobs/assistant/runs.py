"""Small trainings of assistants for tests."""

from jobs.assistant.conversation import ChatFormat
from jobs.assistant.finetune import Chats, Finetuning
from jobs.assistant.lessons.lesson import answered, asked
from jobs.model.train_settings import Settings
from tests.jobs.assistant.conftest import WINDOW

TALKS = [answered(asked(f"the dog {number}"), f"{number} dogs and the sea") for number in range(12)]


def settings(base, steps=4, batch=2, lr=0.004, eval_every=2):
    return Settings(base.model.shape.depth, WINDOW, batch, steps, lr, 0, "fp32", eval_every, 1000)


def chats_of(base, talks):
    made = Chats()
    for talk in talks:
        made.add(*ChatFormat(base.tokenizer).tokens(talk))
    return made


def finetuning(base, epochs=2, talks=TALKS, frozen=(), **more):
    return Finetuning(base, chats_of(base, talks), chats_of(base, talks[:2]), settings(base, **more), epochs, frozen)
