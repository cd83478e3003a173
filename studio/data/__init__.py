"""Data sets: reading, checking and batching labelled pictures."""
