"""Personal data in a text: found and replaced."""
