"""Labels of other models are the codes of lid.176."""

import pytest

from filters.language.labels import code_of, code_of_iso


@pytest.mark.parametrize(
    ("label", "code"),
    [
        ("deu_Latn", "de"),
        ("cmn_Hani", "zh"),
        ("yue_Hani", "yue"),
        ("kor_Hang", "ko"),
        ("als_Latn", "sq"),
        ("als", "als"),  # lid.176's Alemannic
        ("nob_Latn", "no"),
        ("fil_Latn", "tl"),
        ("srp_Cyrl", "sr"),
        ("srp_Latn", "sr_Latn"),
        ("hbs_Latn", "hbs_Latn"),
        ("ceb_Latn", "ceb"),
        ("und_Zyyy", "und_Zyyy"),
        ("en", "en"),
        ("", ""),
    ],
)
def test_the_code_of_a_label(label, code):
    assert code_of(label) == code


def test_every_limit_of_fineweb_2_is_for_a_label_of_lid_176(shared_data):
    from filters.fasttext_file import FastText
    from filters.language.identification import BUNDLED

    codes = [code_of(path.stem) for path in (shared_data / "fineweb2" / "configs").glob("*.yml")]
    assert len(set(codes)) == 67
    assert set(codes) <= set(FastText(BUNDLED).labels)


def test_the_code_of_a_language():
    assert [code_of_iso(code) for code in ("deu", "cmn", "nob", "hbs", "und")] == ["de", "zh", "no", "hbs", "und"]
