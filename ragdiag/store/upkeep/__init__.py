"""Keeping the lake sound: checks, damage, compaction, snapshots, backups, age and forgetting."""
