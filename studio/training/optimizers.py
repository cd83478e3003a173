"""From an optimizer's description to the optimizer."""

from torch import nn, optim

from studio.methods.base import OptimizerConfig


def build(config: OptimizerConfig, parameters: list[nn.Parameter]) -> optim.Optimizer:
    """Build the optimizer of one player."""
    if config.kind == "rmsprop":
        return optim.RMSprop(parameters, config.lr, alpha=config.betas[1], eps=1e-10)
    return optim.AdamW(
        parameters, config.lr, betas=config.betas, weight_decay=config.weight_decay, fused=True
    )
