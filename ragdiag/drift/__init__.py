"""What changed from week to week, by how much, and whether that is more than chance."""
