"""The example of a stage that wants batches: a transformer encoder by ONNX Runtime. Here it is a tiny one."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from corpus.document import Document
from corpus.outcome import KEPT, Outcome
from corpus.pipeline import Pipeline
from tests.warcs import WORDS

onnx = pytest.importorskip("onnx", reason="the package onnx is not installed")
pytest.importorskip("onnxruntime", reason="the package onnxruntime is not installed")

EXAMPLE = Path(__file__).parents[2] / "examples" / "encoder.py"
TEXTS = ["", "a", WORDS, "caf\udce9 \ud800", "x\0y", *(f"{WORDS} {number}" for number in range(40))]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An encoder with one layer of attention and a head for one number."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    made = tmp_path_factory.mktemp("encoder")
    vocabulary = {word: number for number, word in enumerate(["[PAD]", "[UNK]", *sorted(set(WORDS.split()))])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, "[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.save(str(made / "tokenizer.json"))
    rng, helper = np.random.default_rng(0), onnx.helper
    weights = {"table": (len(vocabulary), 8), "query": (8, 8), "key": (8, 8), "value": (8, 8), "head": (8, 1)}
    given = [onnx.numpy_helper.from_array(rng.normal(size=size).astype(np.float32), n) for n, size in weights.items()]
    given += [onnx.numpy_helper.from_array(np.array([2], np.int64), "axis")]
    given += [onnx.numpy_helper.from_array(np.array([1], np.int64), "middle")]
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["x"]),
        *(helper.make_node("MatMul", ["x", name], [name[0]]) for name in ("query", "key", "value")),
        helper.make_node("Transpose", ["k"], ["kt"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["q", "kt"], ["dots"]),
        helper.make_node("Softmax", ["dots"], ["weights"], axis=-1),
        helper.make_node("MatMul", ["weights", "v"], ["mixed"]),
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=onnx.TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["mask", "axis"], ["wide"]),
        helper.make_node("Mul", ["mixed", "wide"], ["masked"]),
        helper.make_node("ReduceSum", ["masked", "middle"], ["sum"], keepdims=0),
        helper.make_node("MatMul", ["sum", "head"], ["logits"]),
    ]
    ids = [
        helper.make_tensor_value_info(n, onnx.TensorProto.INT64, ["b", "t"]) for n in ("input_ids", "attention_mask")
    ]
    out = [helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, ["b", 1])]
    graph = helper.make_graph(nodes, "encoder", ids, out, given)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, str(made / "model.onnx"))
    return made


@pytest.fixture
def stage(folder):
    spec = importlib.util.spec_from_file_location("encoder", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Encoder(folder=str(folder), tokens=64)


def test_a_text_gets_the_same_score_in_every_batch(stage):
    stage.prepare()
    together = stage.apply_batch([Document(text=text) for text in TEXTS])
    alone = [list(stage.apply(Document(text=text))) for text in TEXTS]
    assert together == alone
    assert len({score for ((_, score),) in together}) > 3


def test_the_pipeline_gives_it_batches_and_its_files_are_in_the_fingerprint(stage, monkeypatch):
    stage.prepare()
    batches = []
    whole = type(stage).apply_batch
    monkeypatch.setattr(type(stage), "apply_batch", lambda self, docs: batches.append(len(docs)) or whole(self, docs))
    outcomes = [Outcome(KEPT, Document(text=text)) for text in TEXTS]
    Pipeline.of([stage]).judge_all(outcomes)
    assert batches == [len(TEXTS)]
    assert all(isinstance(one.measures["encoder.score"], float) for one in outcomes)
    assert set(stage.resources()) == {"model.onnx", "tokenizer.json"}
