import os
import shutil

import numpy as np
import pytest
import torch

from studio import images, paths
from studio.data.folder import open_set
from studio.errors import DataError, UnsupportedError
from studio.explore import encoding
from studio.explore.encoding import StoppedError, encode_set


def silent(what, done, total):
    """Take progress and say nothing."""


def never():
    return False


@pytest.fixture
def encode(models, encoder, heads_set):
    def run(data=heads_set, checkpoint=encoder, progress=silent, stopped=never):
        return encode_set(models, checkpoint, data, progress, stopped)

    return run


def test_a_stream_gives_the_latents_of_one_picture_after_another(encode, models, encoder):
    codes = encode()
    model = models.get(encoder).model
    for row in (0, 17, 39):
        content = codes.data.source.read(codes.data.files[row])
        one = images.to_images(codes.data.decode(content, 32).copy())
        with torch.inference_mode():
            own = model.encode(one).flatten()[0].numpy()
        # Half precision on the disk.
        np.testing.assert_allclose(codes.matrix[row], own, rtol=2e-3, atol=2e-3)


def test_parts_are_columns_and_come_back_in_their_shapes(encode, models, encoder):
    codes = encode()
    assert list(codes.shapes) == ["background", "object"]
    own = codes.columns("object")
    assert own.stop == codes.matrix.shape[1]
    assert codes.columns("background").stop == own.start
    latents = codes.latents([3, 5])
    assert latents.parts["object"].shape == (2, *codes.shapes["object"])
    np.testing.assert_array_equal(latents.flatten("object").numpy(), codes.matrix[[3, 5], own])
    with pytest.raises(UnsupportedError, match="no part 'smile'; its latents have background and"):
        codes.columns("smile")


def test_the_second_time_nothing_is_encoded(encode, models, encoder, monkeypatch):
    first = encode()

    def broken(*values):
        raise AssertionError("encoded again")

    monkeypatch.setattr(encoding, "_encoded", broken)
    again = encode()
    assert again.key == first.key
    np.testing.assert_array_equal(again.matrix, first.matrix)


def test_progress_reaches_the_end(encode):
    told = []
    encode(progress=lambda *values: told.append(values))
    assert told[-1] == ("Encoding", 40, 40)


def test_other_weights_are_encoded_anew(encode, make_checkpoint):
    other = make_checkpoint(tag="other", seed=5)
    assert encode(checkpoint=other).key != encode().key


def test_a_set_that_changed_is_encoded_anew_and_the_old_latents_go(encode, heads_folder, tmp_path):
    folder = tmp_path / "mine"
    shutil.copytree(heads_folder, folder)
    first = encode(open_set(folder))
    assert not first.notes
    (folder / "000000.png").write_bytes((folder / "000001.png").read_bytes())
    second = encode(open_set(folder))
    assert "mine has changed since it was encoded on" in second.notes[0]
    np.testing.assert_array_equal(second.matrix[0], second.matrix[1])
    kept = list((paths.cache() / "latents").iterdir())
    assert [folder.name for folder in kept] == [second.key]
    # It is news once.
    assert not encode(open_set(folder)).notes


def test_pictures_that_cannot_be_read_are_left_out_and_named(encode, heads_folder, tmp_path):
    folder = tmp_path / "mine"
    shutil.copytree(heads_folder, folder)
    (folder / "000004.png").write_bytes(b"no picture")
    codes = encode(open_set(folder))
    assert len(codes) == len(codes.data) == 39
    assert "000004.png" not in codes.data.files
    assert "One picture is left out (000004.png)" in codes.notes[0]
    np.testing.assert_allclose(codes.matrix[4], encode().matrix[5], atol=1e-6)


def test_latents_that_are_no_numbers_are_left_out(encode, models, encoder, monkeypatch):
    plain = encoding._encoded

    def spoiled(models, loaded, pictures):
        codes = plain(models, loaded, pictures).map(torch.clone)
        codes.parts["object"][2] = float("nan")
        codes.parts["background"][7] = float("inf")
        return codes

    monkeypatch.setattr(encoding, "_encoded", spoiled)
    codes = encode()
    assert len(codes) == 38
    assert {"000002.png", "000007.png"}.isdisjoint(codes.data.files)
    assert np.isfinite(codes.matrix).all()
    assert "2 pictures are left out (000002.png and others)" in codes.notes[0]


def test_a_set_without_a_single_usable_picture_is_refused(encode, tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "a.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match="None of the 1 pictures of mine can be used"):
        encode(open_set(folder))


def test_stopping_leaves_nothing_behind(encode):
    with pytest.raises(StoppedError):
        encode(stopped=lambda: True)
    assert list((paths.cache() / "latents").iterdir()) == []


def test_what_does_not_encode_is_refused(encode, make_checkpoint):
    with pytest.raises(UnsupportedError, match="does not encode pictures"):
        encode(checkpoint=make_checkpoint("dcgan"))


def test_a_full_disk_is_said_in_a_sentence(encode, monkeypatch):
    def full(*values, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(encoding, "open_memmap", full)
    with pytest.raises(DataError, match=r"cannot be kept in .*No space left on device. Make room"):
        encode()
    assert list((paths.cache() / "latents").iterdir()) == []


def test_what_was_used_longest_ago_goes_first(tmp_path):
    for number, name in enumerate("abcd"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "numbers").write_bytes(b"0" * 100)
        os.utime(tmp_path / name, (number, number))
    encoding.prune(tmp_path, 250, tmp_path / "a")
    assert sorted(folder.name for folder in tmp_path.iterdir()) == ["a", "d"]
    encoding.prune(tmp_path, 0, tmp_path / "a")
    assert [folder.name for folder in tmp_path.iterdir()] == ["a"]


def test_maps_wait_for_each_other_and_can_leave_the_queue(encode):
    told = []
    with encoding.turn(silent, never), pytest.raises(StoppedError):
        encode(progress=lambda *values: told.append(values), stopped=lambda: bool(told))
    assert told[0] == (encoding.WAITING, 0, 0)
    assert len(encode()) == 40
