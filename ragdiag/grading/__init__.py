"""Graders of answers: rules, the local encoder, a language model as judge."""
