"""From what a workspace knows to a tuned version, measured and judged."""
