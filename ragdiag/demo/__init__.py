"""A workspace of real text and really injected faults, on any machine."""
