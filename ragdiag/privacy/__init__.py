"""What keeps people out of the log."""
