"""Who may import whom: the table of the design, read off the imports."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
# Upper rows may import lower ones; a row's packages do not import each other.
ROWS = [
    {"app", "__main__"},
    {"cli"},
    {"ui"},
    {"accounts", "reproduce", "interpolation"},
    {"augment", "bulk", "evaluation", "exchange", "intake", "jobs", "keeping", "readings"},
    {"editing", "explore", "training"},
    {"faces"},
    {"bank", "checkpoints", "directions", "recipes"},
    {"methods"},
    {"data", "nn", "metrics", "render"},
    {"courtesy", "images", "latents", "losses", "named", "traits"},
    {"errors", "paths", "together"},
]
RANK = {name: -row for row, names in enumerate(ROWS) for name in names}
# Where a library of the given name may be imported: packages, or single modules.
HOMES = {
    "gradio": {"app", "ui"},
    "plotly": {"ui.figures"},
    "sklearn": {"explore", "methods.augmentation", "metrics"},
    "openTSNE": {"explore"},
    "cv2": {"faces"},
    "safetensors": {"checkpoints", "named", "training", "cli"},
    "torchvision": {"data", "images"},
    "skimage": {"metrics", "evaluation"},
    "torchmetrics": {"metrics"},
    "av": {"images"},
    "pillow_heif": {"images"},
    "filelock": {"jobs", "training"},
}
MODULES = sorted([*ROOT.glob("studio/**/*.py"), ROOT / "app.py"])


def name_of(file):
    """Return a module's dotted name without ``studio.``: ``ui.tabs.swap``."""
    parts = [part for part in file.relative_to(ROOT).with_suffix("").parts if part != "studio"]
    return ".".join(part for part in parts if part != "__init__" or len(parts) == 1)


def imports_of(file):
    """Yield every dotted name that a file imports, at any depth of its code."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_allowed(module, imported):
    first, _, rest = imported.partition(".")
    own = module.partition(".")[0]
    if first == "studio":
        other = rest.partition(".")[0]
        return other == own or RANK[own] > RANK[other]
    homes = HOMES.get(first)
    return homes is None or any(f"{module}.".startswith(f"{home}.") for home in homes)


@pytest.mark.parametrize("file", MODULES, ids=name_of)
def test_imports_point_downwards(file):
    module = name_of(file)
    if module != "__init__":
        assert [name for name in imports_of(file) if not is_allowed(module, name)] == []


def test_the_rule_itself_refuses_what_it_should():
    assert is_allowed("methods.genegan", "studio.losses.HingeLoss")
    assert not is_allowed("methods.genegan", "studio.training.run")
    assert not is_allowed("recipes", "studio.checkpoints.Card")
    assert not is_allowed("editing", "gradio")
    assert not is_allowed("ui.tabs.swap", "plotly.graph_objects")
    assert is_allowed("ui.figures", "plotly.graph_objects")
