"""Mixture files: what they may say, and one sentence for each thing that they may not."""

import json

import pytest

from corpus.errors import ConfigError
from corpus.tokens.mixture import Condition, read_mixture

GOOD = '[[sources]]\nname = "web"\npath = "out"\n'


def read(folder, text):
    (folder / "m.toml").write_text(text)
    return read_mixture(folder / "m.toml")


def test_everything_has_a_default(tmp_path):
    mixture = read(tmp_path, GOOD)
    assert (mixture.seed, mixture.tokens, mixture.epochs) == (0, None, 4)
    assert mixture.sources[0].path == tmp_path / "out"
    assert mixture.budgets() == {"web": None}
    canonical = json.loads(json.dumps(mixture.canonical()))
    assert str(tmp_path) not in json.dumps(canonical)
    assert canonical["sources"]["web"]["share"] == 1


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("language == 'en'", ("language", "==", "en")),
        ('language=="x >= y"', ("language", "==", "x >= y")),
        ("gopher_quality.alpha_ratio >= 0.8", ("gopher_quality.alpha_ratio", ">=", 0.8)),
        ("  n  <  -3 ", ("n", "<", -3)),
        ("ok != true", ("ok", "!=", True)),
    ],
)
def test_filters(tmp_path, text, found):
    mixture = read(tmp_path, f"{GOOD}filter = ['''{text}''']")
    assert mixture.sources[0].conditions == (Condition(*found),)


@pytest.mark.parametrize(
    ("weights", "tokens", "budgets"), [([1, 1, 1], 100, [33, 34, 33]), ([0.1, 0.2, 0.7], 1000, [100, 200, 700])]
)
def test_weights_add_up_to_the_whole(tmp_path, weights, tokens, budgets):
    tables = [f'[[sources]]\nname = "s{n}"\npath = "p"\nweight = {weight}\n' for n, weight in enumerate(weights)]
    found = list(read(tmp_path, f"tokens = {tokens}\n" + "".join(tables)).budgets().values())
    assert sum(found) == tokens
    assert all(abs(one - wanted) <= 1 for one, wanted in zip(found, budgets, strict=True))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no sources"),
        ("sources = 3", "has no sources"),
        ("sources = [3]", "has no sources"),
        ("[[sources]", "is not valid TOML"),
        ("x = " + "[" * 5000, "is not valid TOML"),
        (f"sed = 1\n{GOOD}", "A mixture has no key 'sed'. Did you mean seed"),
        (f"{GOOD}weigth = 1", r"A source \(web\) has no key 'weigth'. Did you mean weight"),
        ('[[sources]]\npath = "x"', "source 1 has no `name`"),
        ('[[sources]]\nname = "../x"\npath = "x"', "is not a name"),
        ('[[sources]]\nname = 3\npath = "x"', "is not a name"),
        ('[[sources]]\nname = "web"', "'web' has no `path`"),
        ('[[sources]]\nname = "web"\npath = "a\\u0000b"', "'web' has no `path`"),
        (GOOD + GOOD, "Two sources have the name 'web'"),
        (f"seed = -1\n{GOOD}", "`seed` of a mixture"),
        (f"seed = 1.5\n{GOOD}", "`seed` of a mixture"),
        (f"seed = {'9' * 400}\n{GOOD}", "`seed` of a mixture"),
        (f"tokens = true\n{GOOD}", "`tokens` of a mixture"),
        (f"epochs = 0.5\n{GOOD}", "`epochs` of a mixture is no number from 1 to 1000"),
        (f"epochs = nan\n{GOOD}", "`epochs`"),
        (f"{GOOD}share = 0", "`share` of 'web' is no number above 0 to 1"),
        (f"{GOOD}share = 1.1", "`share`"),
        (f"{GOOD}share = '1'", "`share`"),
        (f"{GOOD}weight = inf", "`weight` of 'web'"),
        (f"{GOOD}weight = {'9' * 400}", "`weight` of 'web'"),
        (f"{GOOD}weight = 1", "'web' has a weight.*no `tokens`"),
        (f"{GOOD}weight = 1\ntokens = 3", "a weight and tokens"),
        (f"tokens = 5\n{GOOD}", "neither a weight nor tokens"),
        (f"tokens = 5\n{GOOD}tokens = 6", "take 6 of 5"),
        (f"tokens = 5\n{GOOD}tokens = 4", "have 4 tokens together"),
        (f"tokens = 5\n{GOOD}tokens = 5\n" + GOOD.replace("web", "b") + "weight = 1", "leave none"),
        (f"tokens = 1\n{GOOD}weight = 1\n" + GOOD.replace("web", "b") + "weight = 1e-9", "less than one token"),
        (f"{GOOD}filter = 'a == 1'", "`filter` of 'web' is not a list"),
        (f"{GOOD}filter = [3]", "is no comparison"),
        (f"{GOOD}filter = ['a = 1']", "is no comparison"),
        (f"{GOOD}filter = ['a == __import__(1)']", "no string, number or boolean"),
        (f'{GOOD}filter = ["a == 1\\nb = 2"]', "no string, number or boolean"),
        (f"{GOOD}filter = ['a == [1]']", "no string, number or boolean"),
        (f"{GOOD}filter = ['a < nan']", "no string, number or boolean"),
        (f"{GOOD}filter = ['a < {'9' * 400}']", "no string, number or boolean"),
        (f"{GOOD}filter = ['a < true']", "true or false"),
        (f"{GOOD}repeat = -1", "A number of repeats of 'web' is no number from 0 to 1000"),
        (f"{GOOD}repeat = 'often'", "A number of repeats"),
        (f"{GOOD}repeat = {{ 1 = 1 }}", "names no column"),
        (f"{GOOD}repeat = {{ by = 'n' }}", "is empty"),
        (f"{GOOD}repeat = {{ by = 'n', x = 1 }}", "has the key 'x'"),
        (f"{GOOD}repeat = {{ by = 'n', 1 = 1, 01 = 2 }}", "a number twice"),
        (f"{GOOD}repeat = {{ by = 'n', edges = [1], repeat = [1] }}", "one more number"),
        (f"{GOOD}repeat = {{ by = 'n', edges = [2, 1], repeat = [1, 2, 3] }}", "do not rise"),
        (f"{GOOD}repeat = {{ by = 'n', edges = ['x'], repeat = [1, 2] }}", "An edge of 'web' is no number"),
        (f"{GOOD}repeat = {{ by = 'n', edges = [1], repeat = [1, 2], 3 = 1 }}", "has no key '3'"),
    ],
)
def test_one_sentence_for_each_fault(tmp_path, text, message):
    with pytest.raises(ConfigError, match=message) as caught:
        read(tmp_path, text)
    assert caught.value.todo
    assert len(str(caught.value)) < 400 + len(str(tmp_path))


def test_a_file_that_is_not_there_or_no_text(tmp_path):
    with pytest.raises(ConfigError, match="There is no file"):
        read_mixture(tmp_path / "none.toml")
    (tmp_path / "m.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="is not valid TOML"):
        read_mixture(tmp_path / "m.toml")
