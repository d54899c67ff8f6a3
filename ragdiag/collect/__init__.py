"""The OTLP/HTTP receiver: what it answers 200 for is on the disk."""
