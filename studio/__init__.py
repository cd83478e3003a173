"""Latent Studio: an interactive editing studio for images."""
