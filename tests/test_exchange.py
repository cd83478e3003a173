import json
import shutil
import zipfile

import pytest
import torch

from studio import exchange, images, keeping, paths
from studio.checkpoints import CARD, MODEL, CheckpointStore
from studio.cli import main
from studio.errors import CheckpointError, ConfigError
from studio.exchange import pack, unpack


@pytest.fixture
def packed(make_checkpoint, tmp_path):
    """Return a packed checkpoint that is not there any more, and its name."""
    name = make_checkpoint(tag="given", seed=4)
    file = pack(CheckpointStore(), name, tmp_path)
    keeping.delete(CheckpointStore(), name)
    return file, name


def changed(file, target, **parts):
    """Copy a zip with other contents of some of its files; None leaves one out."""
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(target, "w") as new:
        for entry in old.infolist():
            part = entry.filename.rpartition("/")[2]
            content = parts.pop(part, old.read(entry))
            if content is not None:
                new.writestr(entry.filename, content)
        for name, content in parts.items():
            new.writestr(name, content)
    return target


def card_of(file):
    with zipfile.ZipFile(file) as archive:
        entry = next(name for name in archive.namelist() if name.endswith(CARD))
        return json.loads(archive.read(entry))


def left():
    """List what stands among the person's own checkpoints, hidden things too."""
    folder = paths.user_checkpoints()
    return sorted(one.name for one in folder.iterdir()) if folder.is_dir() else []


def test_what_was_packed_is_the_same_checkpoint_elsewhere(make_checkpoint, tmp_path):
    name = make_checkpoint(tag="given", seed=4)
    grey = torch.zeros(1, 3, 32, 32)
    before = CheckpointStore().load(name)[0].encode(grey).flatten()
    file = pack(CheckpointStore(), name, tmp_path)
    assert file == tmp_path / "genegan.given.zip"
    keeping.delete(CheckpointStore(), name)
    assert unpack(file) == name
    assert left() == [name]
    torch.testing.assert_close(CheckpointStore().load(name)[0].encode(grey).flatten(), before)


def test_a_folder_that_was_copied_is_packed_under_its_own_name(make_checkpoint, tmp_path):
    folder = paths.user_checkpoints() / make_checkpoint(tag="given")
    shutil.copytree(folder, folder.with_name("genegan.copied"))
    file = pack(CheckpointStore(), "genegan.copied", tmp_path)
    assert card_of(file)["name"] == "genegan.copied"
    shutil.rmtree(folder.with_name("genegan.copied"))
    assert unpack(file) == "genegan.copied"


def test_one_that_is_there_already_stays_as_it_is(packed):
    file, name = packed
    unpack(file)
    with pytest.raises(CheckpointError, match=f"There is a checkpoint {name} already"):
        unpack(file)
    assert left() == [name]


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({MODEL: b"other weights"}, "the hash differs"),
        ({MODEL: None}, "model.safetensors is missing"),
        ({CARD: None}, "is not one checkpoint with one card"),
        ({CARD: b"{"}, "damaged"),
        ({"run.py": b"import os"}, "holds run.py"),
        ({"../../evil": b"x"}, "holds ../../evil"),
        ({"second/card.json": b"{}"}, "is not one checkpoint with one card"),
    ],
)
def test_what_is_damaged_or_strange_is_refused_whole(packed, tmp_path, parts, words):
    file = changed(packed[0], tmp_path / "other.zip", **parts)
    with pytest.raises(CheckpointError, match=words.replace(".", r"\.")):
        unpack(file)
    assert left() == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": "../../genegan.x"}, "is no checkpoint name"),
        ({"method": "sorcery"}, "sorcery"),
        ({"format": 99}, "update Latent Studio"),
        ({"hashes": {}}, "knows no weights"),
        ({"config": {"recipe": "hinge", "width": 5}}, "do not fit"),
        ({"hashes": None}, "is damaged: its 'hashes' must be"),
        ({"metrics": {"psnr": None}}, "is damaged: its 'metrics' must be"),
    ],
)
def test_a_card_that_does_not_fit_is_refused(packed, tmp_path, changes, words):
    card = json.dumps({**card_of(packed[0]), **changes})
    file = changed(packed[0], tmp_path / "other.zip", **{CARD: card.encode()})
    with pytest.raises((CheckpointError, ConfigError), match=words):
        unpack(file)
    assert left() == []


def test_a_zip_that_is_encrypted_or_packed_strangely_is_a_sentence(packed, tmp_path):
    content = bytearray(packed[0].read_bytes())
    entry = content.index(b"PK\x01\x02")
    content[6] |= 1
    content[entry + 8] |= 1
    file = tmp_path / "locked.zip"
    file.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"locked\.zip cannot be taken in: .*is encrypted"):
        unpack(file)
    content[6] &= ~1
    content[entry + 8] &= ~1
    content[8] = content[entry + 10] = 99
    file.write_bytes(content)
    with pytest.raises(CheckpointError, match="by a method that is not read"):
        unpack(file)
    # More than the reader of zips knows.
    content[8] = content[entry + 10] = 0
    content[entry + 6] = 99
    file.write_bytes(content)
    with pytest.raises(CheckpointError, match="it is no zip, or a damaged one"):
        unpack(file)
    assert left() == []


def test_a_file_of_the_server_is_no_part_of_a_card(packed, tmp_path):
    card = card_of(packed[0])
    card["hashes"]["../../../etc/passwd"] = "0"
    file = changed(packed[0], tmp_path / "other.zip", **{CARD: json.dumps(card).encode()})
    with pytest.raises(CheckpointError, match="which no checkpoint has"):
        unpack(file)


def test_a_shipped_one_is_not_hidden_by_one_that_is_taken_in(packed, tmp_path):
    card = {**card_of(packed[0]), "name": "genegan.eyeglasses-64"}
    file = changed(packed[0], tmp_path / "other.zip", **{CARD: json.dumps(card).encode()})
    with pytest.raises(CheckpointError, match="eyeglasses-64 already, which ships with the"):
        unpack(file)
    assert left() == []


def test_a_bomb_is_not_unpacked(packed, monkeypatch):
    monkeypatch.setattr(exchange, "MOST_BYTES", 100)
    with pytest.raises(CheckpointError, match="unpacks to more than"):
        unpack(packed[0])
    assert left() == []


def test_what_is_no_zip_is_refused(tmp_path, photograph):
    images.save_png(tmp_path / "a.png", photograph())
    with pytest.raises(CheckpointError, match=r"a\.png cannot be taken in"):
        unpack(tmp_path / "a.png")
    with pytest.raises(CheckpointError, match=r"nowhere\.zip cannot be taken in"):
        unpack(tmp_path / "nowhere.zip")


def test_a_place_that_cannot_be_written_is_a_sentence(make_checkpoint, tmp_path):
    name = make_checkpoint()
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match="cannot be packed to"):
        pack(CheckpointStore(), name, tmp_path / "file" / "a.zip")
    with pytest.raises(CheckpointError, match=r"packed as a \.zip, not as 'a.tar'"):
        pack(CheckpointStore(), name, tmp_path / "a.tar")


def test_the_command_line_packs_deletes_and_takes_in(make_checkpoint, tmp_path, capsys):
    name = make_checkpoint(tag="given")
    assert main(["models", "export", name, "--output", str(tmp_path)]) == 0
    assert main(["models", "delete", name]) == 0
    assert main(["models", "import", str(tmp_path / f"{name}.zip"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == {"model": name}
    assert main(["models", "list"]) == 0
    assert name in capsys.readouterr().out
    assert main(["models"]) == 0
    assert name in capsys.readouterr().out
