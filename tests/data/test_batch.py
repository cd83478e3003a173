import json

import pytest

from studio.data.batch import DataSpec
from studio.errors import ConfigError

CLASSES = (("identity", ("a", "b")), ("light", ("left", "right", "front")))


def test_a_spec_comes_back_from_json_with_its_classes():
    spec = DataSpec(64, "none", ("Smiling",), CLASSES)
    assert DataSpec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec


def test_a_spec_without_classes_is_written_as_it_always_was():
    spec = DataSpec(64, attributes=("Smiling",))
    assert spec.to_dict() == {"size": 64, "alignment": "celeba", "attributes": ["Smiling"]}
    assert DataSpec.from_dict(spec.to_dict()) == spec


@pytest.mark.parametrize("classes", [["identity"], "identity", {"identity": 3}])
def test_classes_of_another_form_are_refused(classes):
    values = {**DataSpec(64).to_dict(), "classes": classes}
    with pytest.raises(ConfigError, match="not usable"):
        DataSpec.from_dict(values)
