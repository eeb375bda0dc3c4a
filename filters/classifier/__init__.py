"""Learned judgements of a page, such as quality, type or topic, by models of `corpus classifier train`."""

from filters.classifier.stage import Classifier

__all__ = ["Classifier"]
