"""Indexes and the paths over them: built, checked, tuned."""
