"""Fine-tuning: examples, negatives, losses, the loop, and what a run leaves behind."""
