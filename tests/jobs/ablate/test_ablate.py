"""Ablations of made corpora: what they find, what they do not find, and what training never sees."""

import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from corpus.errors import ConfigError, InputError, OutputError
from corpus.tokens.encode_slice import is_in_val
from corpus.tokens.token_folder import open_tokens
from jobs.ablate import ablate as job_module
from jobs.ablate.arms import NULL, Arm
from jobs.ablate.decide import NULL_VERDICT, SAME
from tests.bpe import small_tokenizer
from tests.jobs.ablate.texts import half_shuffled, job_of, run, texts_of, verdicts, write_texts

FILES = ("ablation.html", "results.json", "results.jsonl")
FEW = {"tokens": 6 * 32 * 8, "eval_tokens": 300}
"""Six steps, for tests that do not look at what a model learns."""


def contents(out):
    return {name: (out / name).read_bytes() for name in FILES}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A corpus, another one like it, and one with shuffled words."""
    folder = tmp_path_factory.mktemp("arms")
    write_texts(folder / "plain", texts_of(0))
    write_texts(folder / "alike", texts_of(1))
    write_texts(folder / "shuffled", half_shuffled(texts_of(2)))
    return folder


@pytest.fixture(scope="module")
def whole(folders, tmp_path_factory):
    """The folder of a short ablation that nothing stopped."""
    out = tmp_path_factory.mktemp("whole") / "out"
    assert run(job_of(out, folders / "plain", folders / "alike", **FEW)).exit_code == 0
    return out


@pytest.fixture
def no_clean_up(monkeypatch):
    """Keep the tokens of an ablation, to look at them."""
    from corpus.storage.store import LocalStore

    before = LocalStore.remove
    monkeypatch.setattr(LocalStore, "remove", lambda self, key: None if "out" in str(self.root) else before(self, key))


def test_shuffled_words_are_worse(folders, tmp_path):
    done = run(job_of(tmp_path / "out", folders / "plain", folders / "shuffled"))
    results = done.info
    assert verdicts(results, "shuffled")["plain"] == "worse"
    assert set(verdicts(results, NULL).values()) == {NULL_VERDICT}
    rows = [json.loads(line) for line in (tmp_path / "out" / "results.jsonl").read_text().splitlines()]
    assert {(row["arm"], row["seed"], row["lr"], row["set"]) for row in rows} == {
        (arm, seed, lr, name)
        for arm in ("plain", NULL, "shuffled")
        for seed in range(3)
        for lr in results["rates"]
        for name in ("plain", "shuffled")
    }
    assert results["rates"][0] == pytest.approx(30 * results["rates"][1])
    assert {row["step"] for row in rows} == {12, 24, 36, 48}
    assert all(0 < row["bpb"] < 8 for row in rows)
    assert results["tier"]["name"] == "smoke"
    assert results["comparisons"] == 2
    page = (tmp_path / "out" / "ablation.html").read_text()
    assert 'data-value="worse"' in page
    assert 'data-value="better"' not in page.partition('id="h-set-2"')[0]
    assert page.count('<svg class="histogram ablation"') == 2


@pytest.mark.slow
def test_two_halves_of_a_corpus_do_not_differ(tmp_path):
    same = 0
    for number in range(20):
        texts = texts_of(100 + number, 800)
        arms = [write_texts(tmp_path / f"{number}{half}", texts[at::2]) for at, half in enumerate("ab")]
        results = run(job_of(tmp_path / f"out-{number}", f"ha={arms[0]}", f"hb={arms[1]}")).info
        same += set(verdicts(results, "hb").values()) == {SAME}
    assert same >= 18


def test_any_number_of_workers_gives_the_same_bytes(folders, whole, tmp_path):
    run(job_of(tmp_path / "out", folders / "plain", folders / "alike", **FEW), workers=2)
    assert contents(tmp_path / "out") == contents(whole)


@pytest.mark.parametrize(
    ("module", "at", "times"),
    [
        ("jobs.ablate.training", "trial_begun", 14),
        ("jobs.ablate.training", "trial_trained", 1),
        pytest.param("corpus.tokens.apart", "apart_begun", 1, marks=pytest.mark.slow),
    ],
)
def test_a_killed_ablation_goes_on_and_gives_the_same_bytes(folders, whole, tmp_path, monkeypatch, module, at, times):
    job = job_of(tmp_path / "out", folders / "plain", folders / "alike", **FEW)
    left = [times]

    def reached(point):
        left[0] -= point == at
        if not left[0]:
            raise SystemExit(9)

    with monkeypatch.context() as patched:
        patched.setattr(f"{module}.reached", reached)
        with pytest.raises(SystemExit):
            run(job)
    assert not (tmp_path / "out" / "results.json").exists()
    trained = []
    monkeypatch.setattr("jobs.ablate.training.reached", trained.append)
    assert run(job).exit_code == 0
    assert trained.count("trial_begun") == 18 - (times - 1)
    assert contents(tmp_path / "out") == contents(whole)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted([*FILES, "timings.json"])


def test_a_training_goes_on_from_its_checkpoint(folders, whole, tmp_path, monkeypatch):
    job = job_of(tmp_path / "out", folders / "plain", folders / "alike", **FEW)
    steps = []
    batch = job_module.train_task.__globals__["Trained"].batch

    def watched(self, model, step, worker):
        steps.append(step)
        if len(steps) == 9:  # in the middle of the second training
            raise SystemExit(9)
        return batch(self, model, step, worker)

    monkeypatch.setattr("jobs.ablate.training.Trained.batch", watched)
    monkeypatch.setattr(
        "jobs.model.train_settings.TrainWorker.__init__.__defaults__", ("cpu", None, 0.0, 0, 1, 1, True)
    )
    with pytest.raises(SystemExit):
        run(job)
    assert run(job).exit_code == 0
    assert steps[8:10] == [2, 2]
    assert contents(tmp_path / "out") == contents(whole)


def test_a_finished_ablation_is_not_done_again_and_another_one_needs_another_folder(folders, whole):
    job = job_of(whole, folders / "plain", folders / "alike", **FEW)
    before = contents(whole)
    assert run(job).already_done
    with pytest.raises(OutputError, match="seeds: 3 → 4"):
        run(replace(job, seeds=4))
    assert contents(whole) == before


def documents(split, bos):
    ids = split.read(0, split.tokens)
    parts = np.split(ids, np.flatnonzero(ids == bos))[1:]
    return [small_tokenizer().decode(part.tolist()).decode() for part in parts]


def test_training_sees_no_text_and_no_page_of_a_validation_set(tmp_path, no_clean_up):
    common, own, outside = texts_of("common", 100), texts_of("own", 100), texts_of("outside", 30)
    # the other arm has the common pages with the same text, and the pages of the first arm with another text
    urls = {name: [f"http://{name}.example/{n}" for n in range(100)] for name in ("common", "own")}
    changed = [f"{text} the end" for text in own]
    first = write_texts(tmp_path / "first", common + own + outside[:10], url=urls["common"] + urls["own"] + [None] * 10)
    second = write_texts(tmp_path / "second", common + changed,
                         url=[None] * 100 + [url.replace("http:", "HTTPS:") for url in urls["own"]])  # fmt: skip
    rows = [json.dumps({"text": text}) for text in outside] + [json.dumps({"text": "x y z", "url": urls["own"][0]})]
    (tmp_path / "rows.jsonl").write_text("\n".join(rows))
    job = job_of(tmp_path / "out", first, second, held_out=(Arm.parse(f"wild={tmp_path / 'rows.jsonl'}"),),
                 val_share=0.2, **FEW)  # fmt: skip
    results = run(job).info
    assert set(results["sets"]) == {"first", "second", "wild"}
    tokens = {name: open_tokens(tmp_path / "out" / ".work" / "tokens" / name) for name in ("first", "second", "wild")}
    train = {name: set(documents(tokens[name].train, tokens[name].bos)) for name in ("first", "second")}
    val = {name: set(documents(tokens[name].val, tokens[name].bos)) for name in ("first", "second")}
    assert val["first"] & set(common) == val["second"] & set(common) != set()
    assert set(documents(tokens["wild"].train, tokens["wild"].bos)) == {*outside, "x y z"}
    for name in train:
        assert not train[name] & (val["first"] | val["second"] | set(outside))
    held = {"first": 0, "second": 0}
    for number in range(100):  # a page is in training in both of its versions, or in none
        pages = {own[number], changed[number]}
        in_val = any(is_in_val(text, 0.2) for text in pages) or number == 0
        assert in_val == (not pages & (train["first"] | train["second"]))
        held["first"] += in_val and not is_in_val(own[number], 0.2)
        held["second"] += in_val and not is_in_val(changed[number], 0.2)
    held["first"] += sum(not is_in_val(text, 0.2) for text in outside[:10])
    counted = {row["arm"]: row["held_apart"] for row in results["arms"]}
    assert counted == held
    assert min(held.values()) > 5


def test_a_learned_tokenizer_has_no_text_of_validation_and_is_the_same_for_all(folders, tmp_path, monkeypatch):
    seen = []
    learn = job_module.prepare.__globals__["train_tokenizer"]

    def watched(name, texts, size, at_most):
        seen.extend(texts)
        return learn(name, seen, size, at_most)

    monkeypatch.setattr("jobs.ablate.prepare.train_tokenizer", watched)
    results = run(job_of(tmp_path / "out", folders / "plain", folders / "alike", tokenizer=None, vocab_size=290,
                         **FEW)).info  # fmt: skip
    assert results["tokenizer"]["vocab_size"] == 290
    assert len(results["tokenizer"]["sha256"]) == 64
    plain, alike = (set(texts_of(seed)) for seed in (0, 1))
    chars = [sum(len(text) for text in seen if text in texts) for texts in (plain, alike)]
    assert min(chars) > 0.98 * max(chars)  # one text of each is cut
    whole = [text for text in seen if text in plain | alike]
    assert not any(is_in_val(text, 0.1) for text in whole)


def test_a_mixture_is_an_arm(folders, tmp_path):
    (tmp_path / "mix.toml").write_text(
        f'[[sources]]\nname = "a"\npath = "{folders}/plain"\nshare = 0.5\n'
        f'[[sources]]\nname = "b"\npath = "{folders}/shuffled"\nshare = 0.5\n'
    )
    results = run(job_of(tmp_path / "out", folders / "alike", tmp_path / "mix.toml", **FEW)).info
    assert [row["arm"] for row in results["arms"]] == ["alike", "mix"]
    assert 300 < results["arms"][1]["documents"] < 400


def test_repeated_texts_are_shouted_about(folders, tmp_path, capsys):
    write_texts(tmp_path / "small", texts_of(7, 12))
    job = job_of(tmp_path / "out", folders / "plain", tmp_path / "small", tokens=12 * 32 * 8, eval_tokens=300)
    with pytest.raises(InputError, match=r"'small' has [\d,]+ tokens to train on. The ablation needs 3,073.") as error:
        run(job)
    assert "--epochs" in error.value.todo
    results = run(replace(job, epochs=100, tokens=30 * 32 * 8)).info  # the folder is free for other settings
    assert results["arms"][0]["epochs"] < 1
    assert results["arms"][1]["epochs"] > 4
    err = capsys.readouterr().err
    assert "WARNING: 'small' is seen" in err
    assert "WARNING: 'plain'" not in err


def test_a_null_arm_that_shares_documents_is_told(folders, tmp_path, capsys):
    write_texts(tmp_path / "small", texts_of(7, 16))
    results = run(job_of(tmp_path / "out", tmp_path / "small", folders / "plain", **FEW))
    assert 0.1 < results.info["null"]["shared_documents"] < 1
    assert "WARNING: the null arm shares" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arms", "wrong"),
    [
        (["a=plain"], "One arm"),
        (["a=plain", "a=alike"], "Two arms or sets have the name 'a'"),
        (["a=plain", "b=plain"], "'a' and 'b' are the same texts"),
        (["null=plain", "b=alike"], "belongs to the baseline"),
        (["a b=plain", "b=alike"], "'a b' is not a name"),
        (["a=", "b=alike"], "names no location"),
    ],
)
def test_wrong_arms_are_errors(folders, arms, wrong, tmp_path):
    names = [one.replace("=plain", f"={folders}/plain").replace("=alike", f"={folders}/alike") for one in arms]
    with pytest.raises(ConfigError, match=wrong):
        run(job_of(tmp_path / "out", *names))
    assert not (tmp_path / "out").exists()


def test_arms_without_texts_are_errors(folders, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"'empty': .* holds neither a finished run nor parquet"):
        run(job_of(tmp_path / "out", folders / "plain", tmp_path / "empty"))
    write_texts(tmp_path / "one", ["a text"])
    for share in (0.1, 0.2):  # the folder is free for other settings
        with pytest.raises(InputError, match="'one': None of the 1 documents is in"):
            run(job_of(tmp_path / "out", folders / "plain", tmp_path / "one", val_share=share))
    pq.write_table(pa.table({"text": ["a", "b"]}), tmp_path / "named.parquet")
    names = {"a/named.parquet": "named", "a/v1.2": "v1.2", "mix.toml": "mix", "x.jsonl.zst": "x", "s3://b/k=1/z/": "z"}
    assert {given: Arm.parse(given).name for given in names} == names
