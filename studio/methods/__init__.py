"""The table of methods: one line to add one."""

from studio.errors import ConfigError
from studio.methods import attribute_mapping, disentangle, evaluators, genegan, realness
from studio.methods.autoencoders import aae, acai, aeai, amr, beta_vae, gaia, plain
from studio.methods.base import Method
from studio.methods.baselines import cyclic, dcgan, stargan

METHODS: dict[str, Method] = {
    "genegan": genegan.METHOD,
    "disentangle": disentangle.METHOD,
    "cyclic": cyclic.METHOD,
    "aeai": aeai.METHOD,
    "autoencoder": plain.METHOD,
    "aae": aae.METHOD,
    "acai": acai.METHOD,
    "beta_vae": beta_vae.METHOD,
    "amr": amr.METHOD,
    "gaia": gaia.METHOD,
    "attribute-mapping": attribute_mapping.METHOD,
    "dcgan": dcgan.METHOD,
    "stargan": stargan.METHOD,
    "attributes": evaluators.ATTRIBUTES,
    "identity": evaluators.IDENTITY,
    "eyes": evaluators.EYES,
    "realness": realness.METHOD,
}


def find(name: str) -> Method:
    """Return a method by its name.

    Raises:
        ConfigError: There is no such method.
    """
    if name not in METHODS:
        raise ConfigError(f"There is no method {name!r}; there are {', '.join(METHODS)}.")
    return METHODS[name]
