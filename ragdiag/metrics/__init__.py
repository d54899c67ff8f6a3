"""Ranking, answer and latency metrics over plain records; nothing here reads the store."""
