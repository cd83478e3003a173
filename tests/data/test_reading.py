import io
import os
import struct
import tracemalloc
import zipfile
import zlib
from contextlib import suppress

import numpy as np
import pytest
from PIL import Image

from studio import images
from studio.data.folder import open_set
from studio.data.reading import MOST_BYTES, MOST_PIXELS, check_members, open_picture
from studio.errors import DataError, ImageError

# Offsets of fields in an entry of a zip's directory.
FLAGS, PACKED, SIZE = 8, 20, 24


def picture(side=40, level=90):
    """Return the bytes of a PNG."""
    buffer = io.BytesIO()
    Image.new("RGB", (side, side), (level, level, level)).save(buffer, "PNG")
    return buffer.getvalue()


def pack(path, files, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def claim(path, field, value):
    """Let the first entry of a zip's directory claim something else."""
    content = bytearray(path.read_bytes())
    entry = content.index(b"PK\x01\x02")
    width = "<H" if field == FLAGS else "<I"
    struct.pack_into(width, content, entry + field, value)
    path.write_bytes(content)
    return path


def header_of(side):
    """Return a PNG that claims a size and holds no pixels."""

    def chunk(kind, data):
        checksum = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + checksum

    size = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


@pytest.fixture
def packed(tmp_path):
    return tmp_path / "set.zip"


def test_an_empty_zip_says_what_belongs_into_it(packed):
    with pytest.raises(DataError, match=r"set\.zip is an empty zip; pack pictures"):
        open_set(pack(packed, {}))


def test_zips_inside_a_zip_are_not_opened(packed, tmp_path):
    inner = pack(tmp_path / "inner.zip", {"a.png": picture()}).read_bytes()
    with pytest.raises(DataError, match=r"holds no pictures; .* unpack inner\.zip and pack its"):
        open_set(pack(packed, {"inner.zip": inner}))
    assert open_set(pack(packed, {"inner.zip": inner, "a.png": picture()})).files == ("a.png",)


def test_an_encrypted_zip_asks_for_one_without_a_password(packed):
    claim(pack(packed, {"a.png": picture()}), FLAGS, 1)
    with pytest.raises(DataError, match=r"a\.png in set\.zip is encrypted; .* without a password"):
        open_set(packed)


def test_a_zip_packed_in_an_unusual_way_asks_for_the_usual_one(packed):
    with pytest.raises(DataError, match=r"a\.png in set\.zip is packed by a method .*deflate"):
        open_set(pack(packed, {"a.png": picture()}, zipfile.ZIP_LZMA))


def test_a_picture_that_unpacks_to_far_too_much_is_refused(packed):
    claim(pack(packed, {"a.png": picture()}), SIZE, MOST_BYTES + 2**20)
    with pytest.raises(DataError, match=r"a\.png in set\.zip has 201 MB; .* at most 200 MB"):
        open_set(packed)


def test_a_picture_that_packs_as_none_does_is_refused(packed):
    # Deflate makes a thousandth of it.
    with pytest.raises(DataError, match=r"a\.png in set\.zip unpacks to \d{3,4} times its size"):
        open_set(pack(packed, {"a.png": bytes(2**21)}))


def test_small_pictures_and_other_files_may_pack_well(packed):
    files = {"a.png": picture(), "b.bmp": bytes(2**18), "film.mp4": bytes(2**21)}
    assert open_set(pack(packed, files)).files == ("a.png", "b.bmp")


def test_many_pictures_that_together_unpack_to_too_much_are_refused():
    member = zipfile.ZipInfo("a.png")
    member.file_size = member.compress_size = MOST_BYTES
    check_members("set.zip", [member] * 300)
    with pytest.raises(DataError, match=r"set\.zip unpacks to 78 GB; a set has at most 64 GB"):
        check_members("set.zip", [member] * 400)


def test_a_size_that_is_a_lie_takes_no_memory(packed):
    hidden = 64 * 2**20
    claim(pack(packed, {"a.png": bytes(hidden)}), SIZE, 1000)
    data = open_set(packed)
    tracemalloc.start()
    with pytest.raises(DataError, match=r"a\.png in set\.zip is damaged"):
        data.source.read("a.png")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < hidden / 16


def test_a_zip_that_was_exchanged_is_held_to_the_limits_too(packed):
    data = open_set(pack(packed, {"a.png": picture()}))
    claim(pack(packed, {"a.png": picture(50)}), SIZE, MOST_BYTES + 2**20)
    with pytest.raises(DataError, match="has 201 MB"):
        data.source.read("a.png")
    assert "has 201 MB" in str(next(data.attempts()))


@pytest.mark.parametrize("field", [PACKED, SIZE])
def test_a_directory_that_claims_too_much_is_a_damaged_file(packed, field):
    claim(pack(packed, {"a.png": picture(), "b.png": picture()}), field, 2**20 - 1)
    found = list(open_set(packed).attempts())
    assert isinstance(found[0], DataError) or open_picture(found[0]).size == (40, 40)
    assert found[1] == picture()


def test_damage_anywhere_in_a_zip_raises_nothing_but_sentences(packed):
    table = "file,Hat\n" + "".join(f"{name}.png,1\n" for name in "abc")
    files = {"attributes.csv": table, **{f"{name}.png": picture() for name in "abc"}}
    whole = pack(packed, files).read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(300):
        content = bytearray(whole)
        for place in rng.integers(len(content), size=3):
            content[place] = rng.integers(256)
        packed.write_bytes(content[: rng.integers(len(content) // 2, len(content) + 1)])
        os.utime(packed, ns=(0, rng.integers(2**40)))
        with suppress(DataError):
            list(open_set(packed).attempts())


def test_a_file_of_a_folder_may_not_be_larger_either(tmp_path):
    (tmp_path / "a.png").write_bytes(picture())
    with (tmp_path / "b.png").open("wb") as file:
        # A hole: it takes no room on the disk.
        file.truncate(MOST_BYTES + 2**20)
    found = list(open_set(tmp_path).attempts())
    assert found[0] == picture()
    assert "b.png has 201 MB" in str(found[1])


@pytest.mark.parametrize("side", [8_000, 10_000, 20_000])
def test_a_picture_of_too_many_pixels_is_refused_before_it_is_decoded(tmp_path, side):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "a.png").write_bytes(header_of(side))
    with pytest.raises(DataError, match=r"a\.png in set cannot .* than the 50 megapixels"):
        open_set(tmp_path / "set").pictures(8)


def test_pictures_of_sets_have_as_many_pixels_as_photographs():
    assert MOST_PIXELS == images.MAX_PIXELS


def test_only_kinds_of_pictures_that_sets_have_are_opened():
    with pytest.raises(ImageError, match="no picture of a kind that is read"):
        open_picture(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")


def test_pictures_stand_upright_as_their_exif_says():
    pixels = np.zeros((20, 40, 3), np.uint8)
    pixels[:, 20:] = 250
    turned = Image.fromarray(pixels)
    turned.getexif()[274] = 6
    buffer = io.BytesIO()
    turned.save(buffer, "JPEG", exif=turned.getexif())
    upright = np.asarray(open_picture(buffer.getvalue()))
    assert upright.shape == (40, 20, 3)
    assert upright[:15].mean() < 20 < 230 < upright[25:].mean()


def test_a_cut_off_picture_is_none():
    pixels = np.random.default_rng(0).integers(256, size=(64, 64, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    with pytest.raises(ImageError, match="truncated"):
        open_picture(buffer.getvalue()[:5000])
