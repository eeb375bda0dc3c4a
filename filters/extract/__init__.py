"""From a record to the main text of its page: decoding, structure, extraction."""
