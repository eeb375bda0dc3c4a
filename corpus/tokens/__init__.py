"""Texts to train on, tokenizers, the global shuffle, and files of tokens."""
