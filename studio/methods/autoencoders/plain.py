"""The plain autoencoder: reconstruction and nothing else, the yardstick of the family."""

from studio.methods.autoencoders.base import AutoencoderConfig, AutoencoderObjective, method

METHOD = method(
    "autoencoder",
    "Plain autoencoder",
    "Kramer, Nonlinear principal component analysis using autoassociative neural networks, "
    "AIChE Journal 1991",
    "Interpolates through an unregularized latent space: what the others are to improve on.",
    AutoencoderConfig,
    AutoencoderObjective,
)
