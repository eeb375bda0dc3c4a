"""Two tiny models, and servers of them in this process."""

import json
import threading
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from jobs.assistant.conversation import ChatFormat
from jobs.assistant.finetune import Finetuning, Part, load_chats
from jobs.model.generate import Continuer
from jobs.model.train import train
from jobs.model.train_settings import Settings, TrainWorker
from jobs.serve.api import Api
from jobs.serve.server import server
from jobs.serve.votes import Votes
from jobs.serve.worker import Worker
from jobs.web.server import listen

WINDOW = 96
CALL = {"type": "function", "function": {"name": "shout", "arguments": json.dumps({"input": "a dog"})}}
CHATS = (
    [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "The sea is near."}],
    [
        {"role": "user", "content": "shout a dog"},
        {"role": "assistant", "content": "Well: ", "tool_calls": [CALL]},
        {"role": "tool", "content": "A DOG"},
        {"role": "assistant", "content": "A DOG!"},
    ],
)


@pytest.fixture(scope="session")
def models(base_folder, tmp_path_factory):
    """The folders of a base model, and of an assistant that has learned two conversations by heart. Its twin is the
    same under another name."""
    folder = tmp_path_factory.mktemp("serve")
    (folder / "chats.jsonl").write_text("".join(json.dumps({"messages": chat}) + "\n" for chat in CHATS))
    base = Continuer(base_folder)
    parts = [Part(str(folder / "chats.jsonl"), 8)]
    chats, val, _ = load_chats(parts, ChatFormat(base.tokenizer), WINDOW, 1, 0, 0.0)
    settings = Settings(depth=1, window=WINDOW, batch=8, steps=0, lr=0.01, seed=0, precision="fp32", eval_every=1000,
                        eval_tokens=100)  # fmt: skip
    train(folder / "assistant", Finetuning(base, chats, val, settings, 40), TrainWorker())
    return SimpleNamespace(base=base_folder, assistant=folder / "assistant", twin=folder / "assistant")


@pytest.fixture(scope="session")
def openai():
    """OpenAI's client. Its import takes a second, which only these tests shall wait for."""
    import openai

    return openai


@pytest.fixture(scope="session")
def serving(models, openai):
    """A function that serves models, for `with`. It gives the address, a client, and the workers by name."""

    @contextmanager
    def serve(votes, *names, tools=(("shout", str.upper),)):
        workers = {
            name: Worker(name, Continuer(getattr(models, name)), lambda: dict(tools))
            for name in names or ("assistant", "base")
        }
        listening = listen("127.0.0.1", 0)
        made = server(Api(workers, [name for name, _ in tools], Votes(votes)), "127.0.0.1")
        thread = threading.Thread(target=made.run, args=([listening],))
        thread.start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        with openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0, timeout=None) as client:
            try:
                yield SimpleNamespace(url=url, port=int(url.rpartition(":")[2]), client=client, workers=workers)
            finally:
                made.handle_exit(2, None)
                thread.join()

    return serve


@pytest.fixture(scope="module")
def served(serving, tmp_path_factory):
    with serving(tmp_path_factory.mktemp("votes") / "votes.jsonl") as made:
        yield made
