"""The language of a page: the screen before extraction, and identification after it."""
