"""Training runs for tests."""

import sys

from jobs.model.curve import read_metrics
from jobs.model.model import GPT
from jobs.model.train_settings import Settings, Shape, TrainWorker
from tests.bpe import small_tokenizer
from tests.waiting import wait_until

STEPS = 12

SETTINGS = Settings(
    depth=1, window=16, batch=4, steps=STEPS, lr=0.01, seed=0, precision="fp32", eval_every=5, eval_tokens=200
)

OFTEN = TrainWorker(checkpoint_s=0.0)


def weights(folder):
    return (folder / "model.safetensors").read_bytes()


class After:
    """Asks to stop, or raises an error, after a number of steps."""

    def __init__(self, steps, error=None):
        self.left, self.error = steps, error

    def __call__(self):
        self.left -= 1
        if self.left < 0 and self.error:
            raise self.error
        return self.left < 0


def uniform(window=16):
    """A model that gives all tokens the same probability."""
    model = GPT(Shape.of_depth(1, small_tokenizer().vocab_size, window))
    model.init_weights(0)
    model.head.weight.data.zero_()
    return model


def command(folder, tokens_folder, *more):
    options = ("--depth", 1, "--window", 16, "--batch", 4, "--tokens", 64 * 40, "--threads", 1, "--eval-every", 20)
    words = ["train", tokens_folder, "-o", folder, *options, *more]
    return [sys.executable, "-m", "jobs.cli", *map(str, words)]


def wait_for_step(folder, step, process):
    wait_until(lambda: len(read_metrics(folder)) >= step or process.poll() is not None)
    assert process.poll() is None, process.stderr.read()
