import pytest

from studio.training.request import TrainRequest


@pytest.fixture
def request_(heads_folder):
    """Return a request that trains a tiny GeneGAN in a second or two."""
    return TrainRequest(
        "genegan",
        "test",
        str(heads_folder),
        fields={"recipe": "hinge", "width": 4},
        steps=4,
        batch_size=8,
        size=32,
        precision="fp32",
        device="cpu",
        save_every=2,
    )
