"""Layers and networks that the methods are built from."""
