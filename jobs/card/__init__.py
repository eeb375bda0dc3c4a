"""The papers of a run: Croissant metadata, a card for the Hub, and the public summary of training content."""
