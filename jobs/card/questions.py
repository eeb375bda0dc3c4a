"""Questions that a run can't answer: those of the template of the AI Office, and those of the other papers.

The public summary follows the template in the annex to C(2025) 5235 of 24 July 2025, which Article 53(1)(d) of
Regulation (EU) 2024/1689 asks for. The numbers of its sections are those of the template.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from corpus.errors import ConfigError, did_you_mean, reason_of

_KINDS = {bool: "true or false", int: "a whole number", str: "a text"}


@dataclass(frozen=True)
class Question:
    """A question. `section` is its number in the template, or "" if another paper asks it."""

    key: str
    section: str
    text: str
    of: type = str


QUESTIONS = (
    Question("name", "", "Name of the dataset"),
    Question("url", "", "Web page of the dataset"),
    Question("license", "", "Licence of the collection, as an identifier of the Hub or a URL"),
    Question("creator", "", "Name of the person or organisation that made the dataset"),
    Question("version", "", "Version of the dataset, such as 1.0.0"),
    Question("date_published", "", "Date of publication, such as 2026-01-31"),
    Question("cite_as", "", "How to cite the dataset"),
    Question("summary_version", "0", "Version of the summary, with links to earlier versions"),
    Question("summary_date", "0", "Last update of the summary (DD/MM/YYYY)"),
    Question("provider", "1.1", "Provider name and contact details"),
    Question("representative", "1.1", "Authorised representative name and contact details, if outside the Union"),
    Question("models", "1.2", "Versioned model names"),
    Question("dependencies", "1.2", "Models that were modified or fine-tuned, with links to their summaries"),
    Question("placed_on_market", "1.2", "Date of placement of the model on the Union market"),
    Question("tokens", "1.3", "Size of the text: number of tokens", int),
    Question("content_types", "1.3", "Types of content of the text (for example fiction, scientific text, press)"),
    Question("other_modalities", "1.3", "Images, audio, video and other data for training, with sizes"),
    Question("latest_date", "1.3", "Latest date of data acquisition (MM/YYYY)"),
    Question("continuous_training", "1.3", "Is the model trained on new data after this date?", bool),
    Question("characteristics", "1.3", "Other characteristics of the data (for example national or demographic)"),
    Question("public_datasets", "2.1", "Large publicly available datasets, with links and periods of collection"),
    Question("other_public_datasets", "2.1", "General description of other publicly available datasets"),
    Question("licensed_datasets", "2.2.1", "Are there licensing agreements with rightsholders?", bool),
    Question("licensed_modalities", "2.2.1", "Modalities of the content that these agreements cover"),
    Question("private_datasets", "2.2.2", "Were private datasets obtained from other third parties?", bool),
    Question("private_description", "2.2.2", "Private datasets of third parties: names, or a general description"),
    Question("crawlers_used", "2.3", "Were crawlers used by the provider or on its behalf?", bool),
    Question("crawler_names", "2.3", "Names or identifiers of the crawlers"),
    Question("crawler_purposes", "2.3", "Purposes of the crawlers"),
    Question("crawler_behaviour", "2.3", "Behaviour of the crawlers (robots.txt, captchas, paywalls)"),
    Question("crawled_content", "2.3", "Types of content and online sources that were crawled"),
    Question("sme", "2.3", "Is the provider a small or medium-sized enterprise?", bool),
    Question("user_data", "2.4", "Was data of users used (interactions with the model, or with other services)?", bool),
    Question("user_description", "2.4", "Services that the data of users comes from"),
    Question("synthetic_data", "2.5", "Was data used that AI models made?", bool),
    Question("synthetic_models", "2.5", "Models that made the data, with links to their summaries"),
    Question("other_sources", "2.6", "Were other sources of data used?", bool),
    Question("other_description", "2.6", "Description of the other sources"),
    Question("code_of_practice", "3.1", "Has the provider signed the Code of Practice?", bool),
    Question("opt_out_measures", "3.1", "Measures to respect reservations of rights"),
    Question("illegal_content_measures", "3.2", "Measures to avoid or remove illegal content"),
    Question("other_processing", "3.3", "Other information about the processing"),
)

SECTIONS = {
    "0": "Summary",
    "1.1": "Provider identification",
    "1.2": "Model identification",
    "1.3": "Modalities, overall size and other characteristics of the training data",
    "2.1": "Publicly available datasets",
    "2.2.1": "Private datasets: licensed by rightsholders or their representatives",
    "2.2.2": "Private datasets: obtained from other third parties",
    "2.3": "Data crawled and scraped from online sources",
    "2.4": "User data",
    "2.5": "Synthetic data",
    "2.6": "Other sources of data",
    "3.1": "Respect of reservation of rights from the text and data mining exception",
    "3.2": "Removal of illegal content",
    "3.3": "Other information",
}

Answers = dict[str, Any]


def questions_toml() -> str:
    """Return all questions as TOML. No answer is filled in."""
    lines = ["# Remove the # before an answer. What has no answer is shown as not answered."]
    for question in QUESTIONS:
        section = f"{question.section} " if question.section.strip("0") else ""
        example = {bool: "false", int: "0", str: '""'}[question.of]
        lines += ["", f"# {section}{question.text}", f"# {question.key} = {example}"]
    return "\n".join(lines) + "\n"


def read_answers(path: Path | None) -> Answers:
    """Return the answers in a TOML file. Raises ConfigError for an unknown question or a wrong type."""
    if path is None:
        return {}
    try:
        answers = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        what = f"The answers in {path} can't be read: {reason_of(error)}."
        raise ConfigError(what, "`corpus card --questions` prints the form.") from None
    known = {question.key: question for question in QUESTIONS}
    for key, value in answers.items():
        if key not in known:
            raise ConfigError(f"{path} answers '{key}', which is no question.", did_you_mean(key, known))
        if type(value) is not known[key].of:
            raise ConfigError(f"{path}: {key} = {value!r} has the wrong type.", f"Give {_KINDS[known[key].of]}.")
    return {key: value for key, value in answers.items() if value != ""}
