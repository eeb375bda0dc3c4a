"""Checkpoints: complete or absent, checked by digest, and safe to load (safetensors and JSON, no pickle).

    model/settings.json                     the settings that the folder is bound to, written first
    model/checkpoints/step-00000120/        model.safetensors, optimizer.safetensors, state.json
    model/model.safetensors, state.json     the finished model

A checkpoint is made in a scratch folder and renamed. `state.json` names each file with its size and sha256, and has a
digest of itself.
"""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.optim import Optimizer

from corpus.digests import differences, digest
from corpus.errors import ConfigError, CorpusError, InputError, IntegrityError, OutputError
from corpus.json_data import check_shape, parse_json
from corpus.storage.commits import sha256_of
from corpus.storage.replacing import remove_leftovers, replacing, write_whole
from corpus.storage.safe_join import safe_join
from corpus.tokens.tokenizer import Tokenizer
from jobs.model.model import GPT
from jobs.model.train_settings import Shape

KEPT = 2
"""The number of checkpoints that are kept. If the newest is damaged, the one before it is used."""

_SIZES = tuple(field.name for field in fields(Shape))

Optimizers = Mapping[str, Optimizer]


def bind(folder: Path, settings: Mapping[str, Any]) -> None:
    """Bind a new folder to its settings.

    Raises OutputError with the differences if the folder is bound to other settings.
    """
    path = folder / "settings.json"
    if path.exists():
        if changed := differences(_read_json(path), dict(settings)):
            what = f"{folder} was begun with other settings ({'; '.join(changed)})."
            raise OutputError(what, "Use the old settings, or another folder.")
        return
    remove_leftovers(folder, path.name)
    if folder.exists() and any(path.name != ".work" for path in folder.iterdir()):  # .work has the lock of the run
        raise OutputError(f"{folder} is not empty, and has no model.", "Name another folder.")
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(path, _as_json(settings))


def save(folder: Path, step: int, model: GPT, optimizers: Optimizers, facts: Mapping[str, Any]) -> None:
    """Write a checkpoint of `step`, and remove all checkpoints except the last two."""
    root = safe_join(folder, "checkpoints")
    root.mkdir(exist_ok=True)
    for leftover in root.glob(".new-*"):
        shutil.rmtree(leftover, ignore_errors=True)  # a link is not followed
    scratch = root / f".new-{uuid.uuid4().hex}"
    scratch.mkdir()
    _write_tensors(scratch / "model.safetensors", _weights(model))
    _write_tensors(scratch / "optimizer.safetensors", _moments(model, optimizers))
    _seal(scratch, {**facts, "step": step}, ("model.safetensors", "optimizer.safetensors"))
    final = root / f"step-{step:08}"
    shutil.rmtree(final, ignore_errors=True)  # a damaged checkpoint may have this name
    os.rename(scratch, final)
    _sync(root)
    for old in _checkpoints(folder)[:-KEPT]:
        shutil.rmtree(old)


def finish(folder: Path, model: GPT, facts: Mapping[str, Any]) -> dict[str, Any] | None:
    """Write the finished model, remove its checkpoints, and return its state."""
    remove_leftovers(folder)
    with replacing(folder / "model.safetensors") as scratch:
        _write_tensors(scratch, _weights(model))
    _seal(folder, facts, ("model.safetensors",))
    return finished(folder)


def finished(folder: Path) -> dict[str, Any] | None:
    """Return the state of a finished model, or None if the model is not finished.

    Also remove the checkpoints, because the run may have been killed before it did so.
    """
    if not (folder / "state.json").exists():
        return None
    state = _checked(folder)
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    return state


def resume(folder: Path, model: GPT, optimizers: Optimizers) -> dict[str, Any] | None:
    """Load the newest undamaged checkpoint into model and optimizers. Return its state, or None if there is no
    checkpoint.

    Raises IntegrityError if all checkpoints are damaged.
    """
    if not _checkpoints(folder):
        return None
    checkpoint, state = _newest(_checkpoints(folder))
    with _damage(checkpoint):
        check_shape(state, {"step": int, "seconds": (int, float)})
        model.load_state_dict(load_file(checkpoint / "model.safetensors"))
        _put_moments(model, optimizers, load_file(checkpoint / "optimizer.safetensors"))
    return state


def load_model(folder: Path, device: torch.device, kind: type[GPT] = GPT) -> tuple[GPT, dict[str, Any]]:
    """Return the finished model of a folder, or the model of the newest undamaged checkpoint, and its state.

    Raises InputError if there is no model of this kind, and IntegrityError if the model is damaged.
    """
    folders = [folder] if (folder / "state.json").exists() else _checkpoints(folder)
    if not folders:
        raise InputError(f"{folder} has no trained model.", "Name the folder that `corpus train … -o` wrote.")
    found, state = _newest(folders)
    if state.get("kind", GPT.__name__) != kind.__name__:
        raise InputError(f"{folder} has a {state.get('kind', 'GPT')}, not a {kind.__name__}.", "Name another folder.")
    with _damage(found):
        check_shape(state, {"shape": dict.fromkeys(_SIZES, int), "bos": int})
        shape, weights = (
            Shape(**{name: state["shape"][name] for name in _SIZES}),
            load_file(found / "model.safetensors"),
        )
        if not min(asdict(shape).values()) or shape.scaling_weights > sum(map(Tensor.numel, weights.values())):
            raise ValueError("the model is larger than its file")
        model = kind(shape)
        model.load_state_dict(weights)
    if not _finite(model):
        raise InputError(f"The model in {found} has weights that are not finite.", "Train again with a smaller --lr.")
    return model.to(device).eval(), state


def load_tokenizer(folder: Path) -> Tokenizer:
    """Return the tokenizer of a model. Raises IntegrityError if it is missing, damaged or a link."""
    file = safe_join(folder, "tokenizer.json")
    try:
        return Tokenizer(file.name, file.read_bytes())
    except (OSError, ConfigError):
        raise IntegrityError(f"{file} is missing or damaged.", "Copy it from the folder of the tokens.") from None


def _newest(folders: Sequence[Path]) -> tuple[Path, dict[str, Any]]:
    """Return the last undamaged folder and its state. Raises IntegrityError if all folders are damaged."""
    damage = []
    for folder in reversed(folders):
        try:
            return folder, _checked(folder)
        except IntegrityError as error:
            damage.append(error)
    raise damage[0]


def _checkpoints(folder: Path) -> list[Path]:
    root = safe_join(folder, "checkpoints")
    return [safe_join(root, path.name) for path in sorted(root.glob("step-*"))]


def _finite(model: GPT) -> bool:
    return all(bool(torch.isfinite(weight).all()) for weight in model.parameters())


def _weights(model: GPT) -> dict[str, Tensor]:
    """Return the weights of a model by name.

    Raises CorpusError if a weight is not finite, because such a model must not be saved.
    """
    if not _finite(model):
        raise CorpusError("The model has weights that are not finite.", "Use another folder and a smaller --lr.")
    return {name: weight.detach().contiguous().cpu() for name, weight in model.named_parameters()}


def _moments(model: GPT, optimizers: Optimizers) -> dict[str, Tensor]:
    """Return the moments of the optimizers, under names like `adamw/head.weight/exp_avg`."""
    return {
        f"{kind}/{name}/{key}": value.detach().contiguous().cpu()
        for kind, optimizer in optimizers.items()
        for name, weight in model.named_parameters()
        for key, value in optimizer.state.get(weight, {}).items()
    }


def _put_moments(model: GPT, optimizers: Optimizers, moments: Mapping[str, Tensor]) -> None:
    """Load the moments with the optimizers' own function, which knows the device of each moment.

    AdamW's step count is on the device of its weight if AdamW is fused, else on the CPU.
    """
    weights = dict(model.named_parameters())
    for kind, optimizer in optimizers.items():
        order = [weight for group in optimizer.param_groups for weight in group["params"]]
        index = {weight: at for at, weight in enumerate(order)}
        state: dict[int, dict[str, Tensor]] = {}
        for path, value in moments.items():
            owner, name, key = path.split("/")
            if owner == kind:
                state.setdefault(index[weights[name]], {})[key] = value
        optimizer.load_state_dict({**optimizer.state_dict(), "state": state})


def _write_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    path.touch()
    mode = path.stat().st_mode
    save_file(tensors, path)
    path.chmod(mode)  # save_file would let only the owner read the file


def _seal(folder: Path, facts: Mapping[str, Any], names: tuple[str, ...]) -> None:
    files = {}
    for name in names:
        _sync(folder / name)
        files[name] = {"bytes": (folder / name).stat().st_size, "sha256": sha256_of(folder / name)}
    state = {**facts, "files": files}
    write_whole(folder / "state.json", _as_json({**state, "sha256": digest(state)}))


def _checked(folder: Path) -> dict[str, Any]:
    """Return the state of a checkpoint whose files are intact. Raises IntegrityError."""
    state = _read_json(folder / "state.json")
    with _damage(folder / "state.json"):
        check_shape(state, {"files": {str: {"bytes": int, "sha256": str}}, "sha256": str})
        if state.pop("sha256") != digest(state):
            raise ValueError
    for name, entry in state["files"].items():
        file = safe_join(folder, name)
        if not file.exists() or file.stat().st_size != entry["bytes"] or sha256_of(file) != entry["sha256"]:
            raise _damaged(file)
    return state


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = parse_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise _damaged(path) from None
    if not isinstance(content, dict):
        raise _damaged(path)
    return content


@contextmanager
def _damage(file: Path) -> Iterator[None]:
    """Turn any error that a damaged or hostile model file can raise into one IntegrityError."""
    try:
        yield
    except (ValueError, LookupError, TypeError, AttributeError, RuntimeError, AssertionError, SafetensorError):
        raise _damaged(file) from None


def _damaged(file: Path) -> IntegrityError:
    todo = "Restore it, remove it to continue from the other checkpoints, or train again."
    return IntegrityError(f"{file} is missing or damaged.", todo)


def _as_json(content: Mapping[str, Any]) -> bytes:
    return (json.dumps(content, indent=1, sort_keys=True) + "\n").encode()


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
