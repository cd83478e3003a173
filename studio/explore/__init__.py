"""A data set as a map of a checkpoint's latent space: points, neighbours, places, numbers.

``chart`` encodes a set, kept on disk by checkpoint and data, and lays its latents out by PCA or
t-SNE; a ``Map`` answers what the page and the command line ask about it.
"""
