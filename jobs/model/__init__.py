"""A small GPT: training, checkpoints, evaluation, generation."""
