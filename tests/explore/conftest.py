import pytest

from studio.explore.charting import MapRequest, chart


@pytest.fixture
def encoder(make_checkpoint):
    """Return the name of a tiny checkpoint whose latents have two parts."""
    return make_checkpoint()


@pytest.fixture
def draw(models, encoder, heads_set):
    """Return a function that draws a map of the rendered heads."""

    def make(data=heads_set, **request):
        return chart(models, MapRequest(request.pop("checkpoint", encoder), **request), data)

    return make
