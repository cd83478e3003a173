"""Rivals from the papers that are no latent models."""
