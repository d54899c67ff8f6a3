"""What every server of ragdiag shares: where it listens, whom it lets in, how much it takes."""
