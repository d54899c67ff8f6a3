"""Traces as services export them (OpenTelemetry), read as requests: records in, records out."""
