"""Words, sentences, lines, n-grams and shingles of a text."""
