"""What keeps people out of the log: redaction, pseudonyms, encryption."""
