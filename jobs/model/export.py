"""`corpus export --for transformers`: write a model as a folder that `transformers` can load without our code.

Our architecture is that of `NanoChatForCausalLM`, except that queries and keys are rotated in the other direction.
Swapping the halves of their rows makes both rotations equal. vLLM, TRL and other programs can also read such a folder.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from corpus.errors import ConfigError, InputError
from corpus.storage.store import Location, as_json, scratch_file
from corpus.tokens.tokenizer import Tokenizer
from corpus.version import versions
from jobs.model.checkpoint import load_model, load_tokenizer
from jobs.model.model import GPT, ROPE_BASE, SOFTCAP
from jobs.model.train_settings import Shape
from jobs.runner.folder import claim, open_folder

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}

_PAD = "<|reserved_11|>"
"""The token that pads shorter texts of a batch, if the tokenizer has it. No text and no conversation contains it."""

_TEMPLATE = """\
{{- bos_token -}}
{%- for message in messages -%}
{%- set role = {'developer': 'system'}.get(message.role, message.role) -%}
{%- if role not in ('system', 'user', 'assistant', 'tool') -%}
{{- raise_exception('A role is system, user, assistant or tool.') -}}
{%- endif -%}
{{- '<|im_start|>' + role + '<|im_sep|>' -}}
{%- set content -%}
{%- if message.content is string -%}
{{- message.content -}}
{%- else -%}
{%- for part in message.content or [] -%}{{- part.text -}}{%- endfor -%}
{%- endif -%}
{%- endset -%}
{%- if role == 'assistant' -%}
{%- generation -%}
{{- content -}}
{%- for call in message.tool_calls or [] -%}
{%- set arguments = call.function.arguments -%}
{%- if arguments is not mapping -%}
{{- raise_exception('The arguments of a tool call are a mapping here: parse their JSON first.') -}}
{%- endif -%}
{%- set values = arguments.values() | list -%}
{%- set text = values[0] if values | length == 1 and values[0] is string else arguments | tojson -%}
{{- '<|call|>' + call.function.name + '<|im_sep|>' + text -}}
{%- endfor -%}
{{- '<|im_end|>' -}}
{%- endgeneration -%}
{%- else -%}
{{- content + '<|im_end|>' -}}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{- '<|im_start|>assistant<|im_sep|>' -}}
{%- endif -%}
"""
"""The template of conversations in the form of `Tokenizer.turn_marks`.

`generation` marks the assistant's text, for training.
"""


def export_model(folder: Path, out: Location, dtype: str) -> dict[str, Any]:
    """Write a finished model and its tokenizer to `out`, and return the content of export.json, which is written last.

    Raises InputError if there is no finished model, IntegrityError if it is damaged, ConfigError if it has a tokenizer
    that is not ours, and OutputError if `out` has something else.
    """
    if (folder / "checkpoints").is_dir() and not (folder / "state.json").exists():
        raise InputError(f"The training of {folder} is not finished.", "Run its command again, which continues it.")
    model, state = load_model(folder, torch.device("cpu"))
    tokenizer = load_tokenizer(folder)
    plan = {
        "model": state["files"]["model.safetensors"]["sha256"],
        "tokenizer": tokenizer.sha256,
        "target": "transformers",
        "dtype": dtype,
        "versions": versions(("jobs/model",)),
    }
    store = open_folder(out)
    with store.only_run():
        finished = claim(store, plan, "export.json")
        if finished is None:
            with scratch_file(store) as scratch:
                weights = {name: weight.to(DTYPES[dtype]) for name, weight in renamed(model).items()}
                save_file(weights, scratch, {"format": "pt"})
                store.adopt(scratch, "model.safetensors")
            files = _tokenizer_files(tokenizer, model.shape) | _configs(tokenizer, model.shape, dtype)
            for name, data in files.items():
                store.put_new(name, data)
            finished = {"plan": plan, "parameters": sum(weight.numel() for weight in weights.values())}
            store.put_new("export.json", as_json(finished))
        store.remove(".work")
    return finished


_NAMES = {
    "embed": "model.embed_tokens", "head": "lm_head", "attention.query": "self_attn.q_proj",
    "attention.key": "self_attn.k_proj", "attention.value": "self_attn.v_proj", "attention.out": "self_attn.o_proj",
    "up": "mlp.fc1", "down": "mlp.fc2",
}  # fmt: skip


def renamed(model: GPT) -> dict[str, Tensor]:
    """Return the weights of a model under the names of NanoChatForCausalLM, with turned queries and keys."""
    found = {}
    for name, weight in model.named_parameters():
        part, layer = name.removesuffix(".weight"), ""
        if part.startswith("blocks."):
            _, number, part = part.split(".", 2)
            layer = f"model.layers.{number}."
        turned = part in ("attention.query", "attention.key")
        found[f"{layer}{_NAMES[part]}.weight"] = _turned(weight.data, model.shape.heads) if turned else weight.data
    return found


def _turned(weight: Tensor, heads: int) -> Tensor:
    """Swap the two halves of the rows of each head."""
    return weight.view(heads, 2, -1, weight.size(1)).flip(1).view_as(weight)


def _configs(tokenizer: Tokenizer, shape: Shape, dtype: str) -> dict[str, bytes]:
    """Return the configuration files: the model's shape, and the tokens that end a text and an answer."""
    special = tokenizer.specials
    ends = [tokenizer.bos, *(special[mark] for mark in ("<|im_end|>",) if mark in special)]
    ids = {"bos_token_id": tokenizer.bos, "pad_token_id": special.get(_PAD)}
    config = {
        "architectures": ["NanoChatForCausalLM"],
        "model_type": "nanochat",
        "dtype": str(DTYPES[dtype]).removeprefix("torch."),
        "vocab_size": shape.vocab_size,
        "hidden_size": shape.width,
        "intermediate_size": 4 * shape.width,
        "num_hidden_layers": shape.depth,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.heads,
        "max_position_embeddings": shape.window,
        "hidden_act": "relu2",
        "rms_norm_eps": torch.finfo(torch.float32).eps,  # F.rms_norm adds this value by default
        "rope_parameters": {"rope_type": "default", "rope_theta": ROPE_BASE},
        "final_logit_softcapping": SOFTCAP,
        "tie_word_embeddings": False,
        "eos_token_id": tokenizer.bos,
        **ids,
    }
    return {"config.json": as_json(config), "generation_config.json": as_json({**ids, "eos_token_id": ends})}


def _tokenizer_files(tokenizer: Tokenizer, shape: Shape) -> dict[str, bytes]:
    """Return the files of the tokenizer.

    The tokenizer begins a text with the separator, as in training. If it has the special tokens of conversations, their
    template is included.
    """
    bos = tokenizer.bos_text
    first = {"SpecialToken": {"id": bos, "type_id": 0}}
    begins = {
        "type": "TemplateProcessing",
        "single": [first, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [first, {"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
        "special_tokens": {bos: {"id": bos, "ids": [tokenizer.bos], "tokens": [bos]}},
    }
    content = {**tokenizer.content, "post_processor": begins, "truncation": None, "padding": None}
    content["model"] = {**content["model"], "dropout": None}
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": bos,
        "eos_token": bos,
        "pad_token": _PAD if _PAD in tokenizer.specials else bos,
        "padding_side": "left",
        "model_max_length": shape.window,
        "clean_up_tokenization_spaces": False,
    }
    files = {"tokenizer.json": as_json(content, None), "tokenizer_config.json": as_json(config)}
    with suppress(ConfigError):  # a tokenizer without the marks of turns can only be used for texts
        template = _TEMPLATE.replace("<|call|>", tokenizer.turn_marks.call)
        files["chat_template.jinja"] = template.encode()
    return files
