"""Milvus as the holder of a build's vectors, for those who outgrow one machine's memory."""
