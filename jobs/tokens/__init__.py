"""Tokenizers, folders of tokens, and exports of texts for other trainers."""
