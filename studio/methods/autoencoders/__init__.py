"""AEAI and the autoencoders that it is compared with."""
