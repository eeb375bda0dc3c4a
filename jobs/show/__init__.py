"""Runs, stages and recipes printed on the terminal."""
