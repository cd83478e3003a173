"""Zips and pictures from anybody, read within limits.

No more memory is taken than the limits say, whatever a file claims about itself, and nothing is
unpacked to the disk.
"""

import io
import zipfile
import zlib
from pathlib import Path

from PIL import Image, ImageOps, UnidentifiedImageError

from studio.errors import DataError, ImageError

# As many as a photograph may have, `images.MAX_PIXELS`; that module is not imported for one number
# because it brings torch.
MOST_PIXELS = 50_000_000
# More than a picture of that many pixels takes as a file: three bytes each, uncompressed.
MOST_BYTES = 200 * 2**20
# A million pictures of 64 KB; all of CelebA is 1.4 GB.
MOST_UNPACKED = 64 * 2**30
# Pictures are compressed already: a zip takes a few per cent off, off a plain BMP nine tenths.
# Only one that was made to do harm unpacks to two hundred times its size; a zip can do a thousand.
MOST_RATIO = 200
# Small flat pictures pack as well as that, too, and can do no harm.
_HARMLESS = 2**20
_ENCRYPTED = 0x1
# Pillow reads far more, for some formats through other programs; a name says nothing about bytes.
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF")
# What Pillow raises on damaged pictures; it has no common base for them.
_DAMAGE = (OSError, ValueError, SyntaxError, EOFError, RuntimeError, IndexError, zlib.error)
_BOMB = (Image.DecompressionBombError, Image.DecompressionBombWarning)
# What zipfile raises on damaged archives, beside its own error.
ZIP_DAMAGE = (
    *(zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError),
    *(OSError, EOFError, ValueError),
)


class OversizedError(ImageError):
    """A picture of so many pixels that decoding it would fill the memory."""


def open_picture(content: bytes) -> Image.Image:
    """Decode a picture, RGB and upright as its EXIF says.

    Raises:
        ImageError: It is damaged, or no picture.
        OversizedError: It has more than ``MOST_PIXELS`` pixels.
    """
    try:
        with Image.open(io.BytesIO(content), formats=_FORMATS) as opened:
            if opened.width * opened.height > MOST_PIXELS:
                raise OversizedError(
                    f"it has {opened.width} x {opened.height} pixels, more than the "
                    f"{MOST_PIXELS // 10**6} megapixels that are read"
                )
            return _upright(opened).convert("RGB")
    except UnidentifiedImageError as error:
        raise ImageError("no picture of a kind that is read") from error
    except _BOMB as error:
        raise OversizedError(
            f"it claims far more than the {MOST_PIXELS // 10**6} megapixels that are read"
        ) from error
    except _DAMAGE as error:
        raise ImageError(str(error)) from error


def _upright(opened: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(opened)
    except (*_DAMAGE, UserWarning, KeyError, TypeError):
        # A picture with broken metadata is still a picture; broken pixels are met again.
        return opened


def read_file(path: Path) -> bytes:
    """Read a picture or a table.

    Raises:
        DataError: It is larger than any of a set, or the disk refuses.
    """
    try:
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise DataError(_too_large(path.name, size))
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path.name} cannot be read: {error.strerror or error}.") from error


def check_members(archive: str, members: list[zipfile.ZipInfo]) -> None:
    """Refuse a zip that cannot be read, or not without harm.

    Args:
        archive: What the zip is called.
        members: Those that will be read.

    Raises:
        DataError: One is encrypted, packed in an unusual way or unpacks to far too much, or all
            together do.
    """
    for member in members:
        _check_member(archive, member)
    total = sum(member.file_size for member in members)
    if total > MOST_UNPACKED:
        raise DataError(
            f"{archive} unpacks to {total / 2**30:,.0f} GB; a set has at most "
            f"{MOST_UNPACKED // 2**30} GB of pictures. Make several sets of it."
        )


def check_packing(archive: str, member: zipfile.ZipInfo) -> None:
    """Refuse a file of a zip that cannot be read, whatever it is.

    Raises:
        DataError: It is encrypted or packed in an unusual way.
    """
    name = f"{member.filename} in {archive}"
    if member.flag_bits & _ENCRYPTED:
        raise DataError(f"{name} is encrypted; pack the zip again without a password.")
    # The other methods unpack whole blocks at once, past any limit.
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise DataError(
            f"{name} is packed by a method that is not read; pack the zip again in the usual way "
            "(deflate) or without compression."
        )


def _check_member(archive: str, member: zipfile.ZipInfo) -> None:
    check_packing(archive, member)
    name = f"{member.filename} in {archive}"
    if member.file_size > MOST_BYTES:
        raise DataError(_too_large(name, member.file_size))
    ratio = member.file_size / max(1, member.compress_size)
    if member.file_size > _HARMLESS and ratio > MOST_RATIO:
        raise DataError(
            f"{name} unpacks to {ratio:.0f} times its size, as no real picture or table does; "
            "remove it and pack the zip again."
        )


def _too_large(name: str, size: int) -> str:
    return (
        f"{name} has {size / 2**20:,.0f} MB; a picture or table of a set has at most "
        f"{MOST_BYTES // 2**20} MB. Make it smaller or remove it."
    )


def read_member(archive: zipfile.ZipFile, name: str) -> bytes:
    """Return the bytes of one file of a zip that :func:`check_members` passed.

    Raises:
        KeyError: There is no such file.
        DataError: As for :func:`check_members`, where the zip was exchanged in between.
    """
    member = archive.getinfo(name)
    _check_member(Path(str(archive.filename)).name, member)
    with archive.open(member) as file:
        # `ZipFile.read` unpacks all that is there before it looks at the declared size. The byte
        # more makes it compare the checksum.
        return file.read(member.file_size + 1)
