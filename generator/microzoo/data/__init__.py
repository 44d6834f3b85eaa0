"""Readers by format, cache, checksums, splits."""
