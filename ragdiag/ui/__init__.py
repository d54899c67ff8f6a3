"""What the pages share: frame, links, cached reads, charts, tables."""
