"""Searching for good settings with KerasTuner: what may change, the trials, and what they showed."""
