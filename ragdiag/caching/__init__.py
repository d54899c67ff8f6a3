"""Answers that are kept for whoever asks the same again."""
