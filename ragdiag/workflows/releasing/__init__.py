"""Candidates on their way into production, and out of it."""
