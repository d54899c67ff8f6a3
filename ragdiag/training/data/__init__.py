"""What is learnt from: pairs and where they come from, negatives, splits that share nothing."""
