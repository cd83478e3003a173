"""Metrics: pure functions from pictures, logits and features to numbers."""
