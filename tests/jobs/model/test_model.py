"""The model: attention, cache, loss, learning."""

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from jobs.model import model as model_module
from jobs.model.model import GPT, SOFTCAP, Cache, rotate
from jobs.model.train import make_optimizers
from jobs.model.train_settings import Shape

SHAPE = Shape(vocab_size=97, window=24, depth=2, width=32, heads=2)


def made(shape=SHAPE, compute=torch.float32, stir=0.0):
    """A model. `stir` moves all weights away from their first values, some of which are zero."""
    model = GPT(shape, compute)
    model.init_weights(0)
    draw = torch.Generator().manual_seed(1)
    for weight in model.parameters():
        weight.data += stir * torch.empty(weight.shape).normal_(generator=draw)
    return model


def some_ids(batch=3, time=SHAPE.window, seed=0):
    return torch.randint(SHAPE.vocab_size, (batch, time), generator=torch.Generator().manual_seed(seed))


def test_one_batch_overfits():
    ids = some_ids(4, SHAPE.window + 1)
    model = made()
    optimizers = make_optimizers(model, 0.01)
    for _ in range(60):
        loss = model(ids[:, :-1], ids[:, 1:])
        loss.backward()
        for optimizer in optimizers.values():
            optimizer.step()
            optimizer.zero_grad()
    assert F.cross_entropy(model(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten()) < 0.1


@pytest.mark.parametrize("at", [1, 7, SHAPE.window - 1])
def test_a_token_changes_no_logits_before_it_and_those_at_it(at):
    model, ids = made(stir=0.3), some_ids()
    changed = ids.clone()
    changed[:, at] = (ids[:, at] + 1) % SHAPE.vocab_size
    before, after = model(ids), model(changed)
    assert torch.equal(before[:, :at], after[:, :at])
    assert not torch.allclose(before[:, at], after[:, at])
    assert not torch.allclose(before[:, -1], after[:, -1])  # attention carries it to the end


@pytest.mark.parametrize("cuts", [[1] * SHAPE.window, [10, 1, 1, 12], [SHAPE.window]])
def test_logits_with_a_cache_are_those_without(cuts):
    model, ids = made(stir=0.3), some_ids()
    cache = Cache(SHAPE, SHAPE.window, torch.zeros(len(ids), dtype=torch.int64), torch.float32)
    with torch.no_grad():
        parts = [model.logits(model.trunk(part, cache)) for part in ids.split(cuts, dim=1)]
        torch.testing.assert_close(torch.cat(parts, dim=1), model(ids), rtol=1e-5, atol=1e-5)
    assert cache.length == SHAPE.window


@pytest.mark.parametrize(("logits", "rows"), [(1, 1), (1, 7), (7 * SHAPE.vocab_size, 1), (2**19, 128)])
def test_the_loss_and_its_gradients_are_those_of_plain_cross_entropy(monkeypatch, logits, rows):
    monkeypatch.setattr(model_module, "LOGITS_AT_ONCE", logits)
    monkeypatch.setattr(model_module, "ROWS_AT_ONCE", rows)
    model, ids = made(stir=0.3), some_ids(3, SHAPE.window + 1)
    model.head.weight.data *= 20  # so that the cap changes the logits
    (2 * model(ids[:, :-1], ids[:, 1:])).backward()
    ours = {name: weight.grad.clone() for name, weight in model.named_parameters()}
    model.zero_grad()
    loss = F.cross_entropy(model(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten())
    (2 * loss).backward()
    torch.testing.assert_close(model(ids[:, :-1], ids[:, 1:]), loss, rtol=1e-5, atol=0)
    for name, weight in model.named_parameters():
        torch.testing.assert_close(ours[name], weight.grad, rtol=1e-3, atol=1e-5 * weight.grad.abs().max().item())


def test_logits_are_capped():
    model, ids = made(), some_ids()
    model.head.weight.data.normal_(0, 1e4)
    logits = model(ids)
    assert logits.abs().max() <= SOFTCAP
    assert logits.abs().max() > 0.9 * SOFTCAP


def test_targets_count_as_much_as_their_counts():
    """The loss and its gradients; a target that counts 0 is as if it were not there, whatever its id."""
    model, ids = made(stir=0.3), some_ids(3, SHAPE.window + 1)
    targets = ids[:, 1:].clone()
    counts = torch.linspace(-1, 2, targets.numel()).view(targets.shape)
    counts[0], targets[0] = 0, 0
    model(ids[:, :-1], targets, counts).backward()
    found = {name: weight.grad.clone() for name, weight in model.named_parameters()}
    model.zero_grad()
    nats = F.cross_entropy(model(ids[:, :-1]).flatten(0, 1), targets.flatten(), reduction="none")
    (nats @ counts.flatten()).backward()
    for name, weight in model.named_parameters():
        torch.testing.assert_close(found[name], weight.grad, rtol=1e-3, atol=1e-5 * weight.grad.abs().max().item())


def test_a_new_model_knows_nothing():
    model, ids = made(), some_ids(8, SHAPE.window + 1)
    loss = model(ids[:, :-1], ids[:, 1:]).item()
    assert loss == pytest.approx(math.log(SHAPE.vocab_size), abs=0.01)


def test_the_seed_decides_the_first_weights():
    first, same, other = GPT(SHAPE), GPT(SHAPE), GPT(SHAPE)
    first.init_weights(3)
    same.init_weights(3)
    other.init_weights(4)
    assert torch.equal(first.embed.weight, same.embed.weight)
    assert not torch.equal(first.embed.weight, other.embed.weight)


def test_rotation_turns_positions_into_differences():
    model = GPT(replace(SHAPE, window=20))
    q, k = torch.randn(2, 16, generator=torch.Generator().manual_seed(0))
    at = lambda x, place: rotate(x[None], model.cos[place : place + 1], model.sin[place : place + 1])  # noqa: E731
    near = at(q, 3) @ at(k, 1).T
    torch.testing.assert_close(near, at(q, 15) @ at(k, 13).T, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(near, at(q, 15) @ at(k, 1).T, rtol=1e-2)


@pytest.mark.parametrize(("depth", "vocab", "width"), [(1, 300, 64), (3, 2048, 128), (4, 4096, 128), (12, 50257, 384)])
def test_sizes_follow_from_depth(depth, vocab, width):
    shape = Shape.of_depth(depth, vocab, 16)
    with torch.device("meta"):
        count = sum(weight.numel() for weight in GPT(shape).parameters())
    assert (shape.width, shape.width % shape.heads) == (width, 0)
    assert count == 2 * vocab * width + 12 * depth * width**2
    assert shape.scaling_weights == count - vocab * width


def test_bf16_is_for_activations_only():
    model, ids = made(compute=torch.bfloat16, stir=0.1), some_ids(3, SHAPE.window + 1)
    loss = model(ids[:, :-1], ids[:, 1:])
    loss.backward()
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}
    assert {weight.grad.dtype for weight in model.parameters()} == {torch.float32}
    assert model.trunk(ids[:, :-1]).dtype == torch.bfloat16
    assert loss.item() == pytest.approx(made(stir=0.1)(ids[:, :-1], ids[:, 1:]).item(), rel=0.01)
