"""Pictures at the edge of the studio: reading photographs, tensors, sheets, PNG, GIF and MP4.

A *picture* is a uint8 (H, W, 3) array; *images* are a float (B, 3, H, W) tensor in [-1, 1]. Nothing
here makes a float copy of a whole photograph, and Pillow's copy (four bytes per pixel) is moved out
strip by strip, so that a 50-megapixel photograph stays far below 600 MB.
"""

import io
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import av
import numpy as np
import numpy.typing as npt
import pillow_heif
import torch
import torch.nn.functional as F
from PIL import ExifTags, Image, ImageDraw, ImageFont, PngImagePlugin
from torch import Tensor

from studio.errors import ImageError

pillow_heif.register_heif_opener()

Picture = npt.NDArray[np.uint8]

MAX_BYTES = 25 * 1024 * 1024
# A PNG of ours with the largest photograph in it, which no camera's JPEG reaches.
MAX_RESULT_BYTES = 200 * 1024 * 1024
MAX_PIXELS = 50_000_000
MIN_SIDE = 16
MAX_ASPECT = 20
PREVIEW_SIDE = 1600

# A recipe carries pictures, for which Pillow's megabyte per text is too little.
PngImagePlugin.MAX_TEXT_CHUNK = MAX_BYTES

EXPECTED = "a JPEG, PNG, WebP or HEIC photograph"

# Chunks that repeat EXIF and XMP, where the place of a photograph is written.
_PRIVATE_TEXT = ("XML:com.adobe.xmp", "Raw profile type")
_STRIP_ROWS = 256
_LARGE_WEBP = 25_000_000
# What a decoder raises on a damaged file; Pillow has no common base for them.
_DAMAGE = (OSError, ValueError, SyntaxError, EOFError, RuntimeError, IndexError, zlib.error)
_OTHER_FORMATS = {
    b"BM": "a BMP picture",
    b"II*\0": "a TIFF picture",
    b"MM\0*": "a TIFF picture",
    b"%PDF": "a PDF document",
    b"PK\x03\x04": "a zip archive",
    b"<svg": "an SVG drawing",
}


@dataclass(frozen=True, eq=False)
class Photo:
    """A photograph as it stands on the screen, turned upright, without its EXIF.

    Attributes:
        pixels: (H, W, 3) uint8, contiguous; colours as stored, also where they are transparent.
        alpha: (H, W) uint8, 0 transparent; None for an opaque picture.
        icc: Colour profile of ``pixels``, or None.
        text: Text chunks of a PNG (where a recipe is), without EXIF and XMP.
    """

    pixels: Picture
    alpha: Picture | None = None
    icc: bytes | None = None
    text: dict[str, str] = field(default_factory=dict)

    def visible(self) -> Picture:
        """Return the (H, W, 3) pixels as seen on white; the same array where all is opaque."""
        if self.alpha is None:
            return self.pixels
        seen = np.empty_like(self.pixels)
        for rows in _strips(len(seen)):
            opacity = self.alpha[rows, :, None].astype(np.uint16)
            blend = self.pixels[rows] * opacity + 255 * (255 - opacity) + 127
            seen[rows] = blend // 255
        return seen


def read_photo(source: Path | bytes, most_bytes: int = MAX_BYTES) -> Photo:
    """Read a photograph of at most 50 megapixels and 25 MB.

    EXIF orientation is honoured; grey, CMYK, palette and 16-bit pictures become 8-bit RGB;
    transparency and colour profile are kept, every other metadata (place, camera) is not.

    Args:
        source: A file, or its bytes.
        most_bytes: Another limit of the file's size, such as ``MAX_RESULT_BYTES``.

    Raises:
        ImageError: The file is no usable photograph; one sentence says why and what to do.
    """
    data = source if isinstance(source, bytes) else _read_file(source, most_bytes)
    _check_bytes(data, most_bytes)
    with _open(data) as opened:
        _check_frames(opened)
        _check_sides(*opened.size)
        try:
            pixels, alpha = _decode(opened, data)
        except (*_DAMAGE, MemoryError) as error:
            raise ImageError(
                "The picture is cut off or damaged and cannot be decoded; save or download it "
                "again, then choose the new file."
            ) from error
        return _photo(opened, pixels, alpha)


def to_images(pictures: Picture) -> Tensor:
    """Convert pictures for a model.

    Args:
        pictures: (H, W, 3) or (B, H, W, 3) uint8.

    Returns:
        (B, 3, H, W) float32 in [-1, 1]; B is 1 for a single picture.
    """
    batch = pictures if pictures.ndim == 4 else pictures[None]
    images = torch.from_numpy(np.ascontiguousarray(batch)).permute(0, 3, 1, 2).contiguous()
    return images.float().div_(127.5).sub_(1.0)


def to_pictures(images: Tensor) -> Picture:
    """Convert a model's images for the screen; the exact inverse of ``to_images``.

    Args:
        images: (B, 3, H, W), nominally in [-1, 1]; what an exaggerated edit puts outside is cut.

    Returns:
        (B, H, W, 3) uint8.
    """
    levels = images.detach().float().add(1.0).mul(127.5).round().clamp(0, 255)
    pictures: Picture = levels.to(torch.uint8).permute(0, 2, 3, 1).contiguous().cpu().numpy()
    return pictures


def resize(pixels: Picture, size: int | tuple[int, int]) -> Picture:
    """Resize a picture with an anti-aliased bicubic filter, without a float copy of it.

    Args:
        pixels: (H, W, 3) uint8.
        size: (width, height) of the result, or the side of a square.
    """
    width, height = (size, size) if isinstance(size, int) else size
    if pixels.shape[:2] == (height, width):
        return pixels.copy()
    # The permuted view is channels_last, for which torch has an integer kernel.
    images = torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)[None]
    scaled = F.interpolate(images, (height, width), mode="bicubic", antialias=True)
    result: Picture = scaled[0].permute(1, 2, 0).contiguous().numpy()
    return result


def sized(images: Tensor, size: int) -> Tensor:
    """Resize (B, 3, S, S) images in [-1, 1] to what a network of another size expects."""
    if images.shape[-1] == size:
        return images
    return F.interpolate(images, (size, size), mode="bicubic", antialias=True)


def fit(pixels: Picture, longest: int = PREVIEW_SIDE) -> Picture:
    """Reduce a picture so that its longest side is at most ``longest``; never enlarge it."""
    height, width = pixels.shape[:2]
    scale = longest / max(height, width)
    if scale >= 1:
        return pixels
    return resize(pixels, (max(1, round(width * scale)), max(1, round(height * scale))))


def encode_png(
    pixels: Picture,
    *,
    alpha: Picture | None = None,
    icc: bytes | None = None,
    text: Mapping[str, str] | None = None,
) -> bytes:
    """Return the bytes of a PNG.

    Args:
        pixels: (H, W, 3) uint8.
        alpha: (H, W) uint8 or None.
        icc: Colour profile or None.
        text: Text chunks to write, such as the recipe.
    """
    buffer = io.BytesIO()
    save_png(buffer, pixels, alpha=alpha, icc=icc, text=text)
    return buffer.getvalue()


def encode_jpeg(pixels: Picture, quality: int = 90) -> bytes:
    """Return the bytes of a JPEG without metadata, for previews.

    Args:
        pixels: (H, W, 3) uint8.
        quality: From 1 to 95.
    """
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def save_png(
    target: Path | BinaryIO,
    pixels: Picture,
    *,
    alpha: Picture | None = None,
    icc: bytes | None = None,
    text: Mapping[str, str] | None = None,
) -> None:
    """Write a PNG to a file or an open binary file; arguments as of ``encode_png``."""
    chunks = PngImagePlugin.PngInfo()
    for key, value in (text or {}).items():
        chunks.add_itxt(key, value, zip=True)
    if alpha is None:
        picture = Image.fromarray(pixels)
    else:
        # Pillow's own way to add alpha holds the picture twice.
        picture = Image.new("RGBA", (pixels.shape[1], pixels.shape[0]))
        for rows in _strips(len(pixels)):
            strip = np.dstack([pixels[rows], alpha[rows]])
            picture.paste(Image.fromarray(strip), (0, rows.start))
    # Level 3 takes a third of the default's time on a large photograph for 4 % more bytes.
    picture.save(target, "PNG", pnginfo=chunks, icc_profile=icc, compress_level=3)


def stack(pictures: Sequence[Picture], gap: int = 24) -> Picture:
    """Lay pictures of any sizes below each other on white, centred.

    Args:
        pictures: (H, W, 3) each, at least one.
        gap: Pixels between them.
    """
    width = max(picture.shape[1] for picture in pictures)
    height = sum(picture.shape[0] for picture in pictures) + gap * (len(pictures) - 1)
    page = np.full((height, width, 3), 255, np.uint8)
    top = 0
    for picture in pictures:
        left = (width - picture.shape[1]) // 2
        page[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
        top += picture.shape[0] + gap
    return page


def sheet(
    rows: Sequence[Sequence[Picture | None]],
    *,
    row_labels: Sequence[str] | None = None,
    column_labels: Sequence[str] | None = None,
    gap: int = 4,
) -> Picture:
    """Lay pictures out in a table on white.

    Args:
        rows: Pictures (H, W, 3) of any sizes; None leaves a cell empty, rows may be ragged.
        row_labels: Texts left of the rows.
        column_labels: Texts above the columns.
        gap: Pixels between and around the cells.

    Returns:
        The table, a (H, W, 3) uint8 picture.
    """
    cells = [cell for row in rows for cell in row if cell is not None]
    cell_height = max((cell.shape[0] for cell in cells), default=1)
    cell_width = max((cell.shape[1] for cell in cells), default=1)
    font_size = max(11, min(20, cell_height // 7))
    font = ImageFont.load_default(font_size)
    left = gap + max((round(font.getlength(label)) + gap for label in row_labels or ()), default=0)
    top = gap + (round(font_size * 1.4) if column_labels else 0)
    columns = max((len(row) for row in rows), default=0)
    table = np.full(
        (top + len(rows) * (cell_height + gap), left + columns * (cell_width + gap), 3),
        255,
        np.uint8,
    )
    for r, row in enumerate(rows):
        for c, cell in enumerate(row):
            if cell is not None:
                y = top + r * (cell_height + gap) + (cell_height - cell.shape[0]) // 2
                x = left + c * (cell_width + gap) + (cell_width - cell.shape[1]) // 2
                table[y : y + cell.shape[0], x : x + cell.shape[1]] = cell
    canvas = Image.fromarray(table)
    draw = ImageDraw.Draw(canvas)
    for r, label in enumerate(row_labels or ()):
        middle = top + r * (cell_height + gap) + cell_height // 2
        draw.text((gap, middle), label, "black", font, anchor="lm")
    for c, label in enumerate(column_labels or ()):
        middle = left + c * (cell_width + gap) + cell_width // 2
        draw.text((middle, top - gap), label, "black", font, anchor="ms")
    return np.array(canvas)


def save_gif(target: Path, frames: Sequence[Picture], *, fps: float = 12) -> None:
    """Write an endlessly repeating GIF.

    Args:
        target: The file to write.
        frames: At least one (H, W, 3) uint8 picture; all of one size.
        fps: Frames per second; a GIF counts hundredths of a second.
    """
    first, *others = [Image.fromarray(frame) for frame in frames]
    duration = max(20, round(1000 / fps))
    first.save(target, "GIF", save_all=True, append_images=others, duration=duration, loop=0)


def save_mp4(target: Path, frames: Sequence[Picture], *, fps: float = 25) -> None:
    """Write an H.264 film that every browser plays.

    Args:
        target: The file to write.
        frames: At least one (H, W, 3) uint8 picture; all of one size. H.264 needs even sides: an
            odd one gets its last row or column twice.
        fps: Frames per second.
    """
    height, width = frames[0].shape[:2]
    with av.open(str(target), "w", format="mp4") as container:
        rate = Fraction(fps).limit_denominator(1000)
        stream = container.add_stream("libx264", rate=rate, options={"crf": "18"})
        stream.width, stream.height = width + width % 2, height + height % 2
        stream.pix_fmt = "yuv420p"
        for picture in frames:
            even = np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), "edge")
            container.mux(stream.encode(av.VideoFrame.from_ndarray(even, format="rgb24")))
        container.mux(stream.encode())


def _read_file(path: Path, most_bytes: int) -> bytes:
    """Read a file's bytes, one more than allowed at most."""
    try:
        with path.open("rb") as file:
            return file.read(most_bytes + 1)
    except OSError as error:
        raise ImageError(
            f"The file {path.name!r} cannot be read; choose {EXPECTED} that exists."
        ) from error


def _check_bytes(data: bytes, most_bytes: int) -> None:
    """Refuse what is too large or known not to be a photograph.

    Raises:
        ImageError: Too many bytes, none, or the signature of another kind of file.
    """
    if len(data) > most_bytes:
        raise ImageError(
            f"The file is larger than {most_bytes // 2**20} MB; save it as a JPEG or at a smaller "
            "size and choose that."
        )
    if not data:
        raise ImageError(f"The file is empty; choose {EXPECTED}.")
    for signature, name in _OTHER_FORMATS.items():
        if data.startswith(signature):
            raise ImageError(f"The file is {name}; choose {EXPECTED}.")


def _open(data: bytes) -> Image.Image:
    """Read a picture's header; no pixel is decoded yet."""
    try:
        # GIF is recognized only to be refused by its name; JPEG includes a phone's MPO.
        return Image.open(io.BytesIO(data), formats=("JPEG", "PNG", "WEBP", "HEIF", "GIF"))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError(
            f"The picture claims far more than {MAX_PIXELS // 10**6} megapixels; choose "
            "a smaller version of it."
        ) from error
    except _DAMAGE as error:
        raise ImageError(
            f"The file is not a picture that can be read here; choose {EXPECTED}."
        ) from error


def _check_frames(opened: Image.Image) -> None:
    """Refuse a film and any GIF; the extra pictures inside an MPO or HEIC file are no film."""
    animated = getattr(opened, "n_frames", 1) > 1 and opened.format in ("GIF", "PNG", "WEBP")
    if animated:
        raise ImageError(
            f"The file is an animated {opened.format}; save one of its frames as a JPEG or PNG "
            "and choose that."
        )
    if opened.format == "GIF":
        raise ImageError(f"The file is a GIF; choose {EXPECTED}.")


def _check_sides(width: int, height: int) -> None:
    """Refuse pictures that are too large to hold or too small or narrow to show a face."""
    if width * height > MAX_PIXELS:
        raise ImageError(
            f"The picture has {width} x {height} pixels, more than {MAX_PIXELS // 10**6} "
            "megapixels; choose a smaller version of it."
        )
    if min(width, height) < MIN_SIDE:
        raise ImageError(
            f"The picture has only {width} x {height} pixels; choose one of at least "
            f"{MIN_SIDE} x {MIN_SIDE}."
        )
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise ImageError(
            f"The picture is a strip of {width} x {height} pixels; choose one whose long side is "
            f"at most {MAX_ASPECT} times the short one."
        )


def _decode(opened: Image.Image, data: bytes) -> tuple[Picture, Picture | None]:
    """Decode a checked picture into colours and, where it has one, alpha."""
    if opened.format == "WEBP" and opened.width * opened.height > _LARGE_WEBP:
        pixels, alpha = _large_webp_arrays(data)
        # FFmpeg holds an opaque lossless WebP as ARGB too.
        return pixels, alpha if opened.mode == "RGBA" else None
    return _arrays(opened)


def _photo(opened: Image.Image, pixels: Picture, alpha: Picture | None) -> Photo:
    """Turn decoded arrays upright and add what is kept of the metadata."""
    info, mode = opened.info, opened.mode
    text = getattr(opened, "text", {}) if opened.format == "PNG" else {}
    orientation = _orientation(opened)
    # Its pixels are copied already; turning needs the memory.
    opened.close()
    # A grey or CMYK profile does not describe RGB values.
    icc = info.get("icc_profile") if mode in ("RGB", "RGBA", "RGBX", "P", "PA") else None
    return Photo(
        pixels=_turn(pixels, orientation),
        alpha=None if alpha is None else _turn(alpha, orientation),
        icc=icc or None,
        text={k: str(v) for k, v in text.items() if not k.startswith(_PRIVATE_TEXT)},
    )


def _orientation(opened: Image.Image) -> int:
    """Return the EXIF orientation, 1 to 8; 1 (upright) where it is missing or unreadable."""
    try:
        value = opened.getexif().get(ExifTags.Base.Orientation, 1)
    except (*_DAMAGE, UserWarning, KeyError, TypeError):
        # A photograph with broken metadata is still a photograph.
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _flatten_mode(opened: Image.Image) -> Image.Image:
    """Return the picture in mode L, RGB or RGBA, or in a 16-bit grey mode."""
    mode = opened.mode
    if mode in ("L", "RGB", "RGBA") and "transparency" not in opened.info:
        return opened
    if mode == "I" or mode.startswith("I;16"):
        return opened
    has_alpha = "transparency" in opened.info or mode in ("LA", "La", "PA", "RGBa", "RGBA")
    return opened.convert("RGBA" if has_alpha else "RGB")


def _large_webp_arrays(data: bytes) -> tuple[Picture, Picture | None]:
    """Decode a WebP with FFmpeg.

    Pillow decodes every WebP as a film, at 15 bytes a pixel: too much for a large one. FFmpeg
    differs from it by the rounding of colour at edges.
    """
    with av.open(io.BytesIO(data), "r", format="webp_pipe") as container:
        for frame in container.decode(video=0):
            if frame.format.name not in ("argb", "yuva420p"):
                return np.asarray(frame.to_ndarray(format="rgb24"), np.uint8), None
            decoded = frame.to_ndarray(format="rgba")
            return np.ascontiguousarray(decoded[..., :3]), np.ascontiguousarray(decoded[..., 3])
    raise OSError("no picture inside")


def _arrays(opened: Image.Image) -> tuple[Picture, Picture | None]:
    """Decode a picture and copy it, strip by strip, into colours and, where it has one, alpha."""
    opened.load()
    flat = _flatten_mode(opened)
    width, height = flat.size
    pixels = np.empty((height, width, 3), np.uint8)
    alpha = np.empty((height, width), np.uint8) if flat.mode == "RGBA" else None
    for rows in _strips(height):
        strip = np.asarray(flat.crop((0, rows.start, width, min(rows.stop, height))))
        if strip.dtype != np.uint8:
            # 16 bits of grey: 65535 is white.
            strip = ((strip.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)
        pixels[rows] = strip[..., None] if strip.ndim == 2 else strip[..., :3]
        if alpha is not None:
            alpha[rows] = strip[..., 3]
    return pixels, alpha


def _turn(pixels: Picture, orientation: int) -> Picture:
    """Turn an array upright by its EXIF orientation."""
    if orientation in (2, 5, 7, 4):
        pixels = pixels[:, ::-1]
    quarter_turns = {3: 2, 4: 2, 5: 1, 6: 3, 7: 3, 8: 1}.get(orientation, 0)
    return np.ascontiguousarray(np.rot90(pixels, quarter_turns))


def _strips(height: int) -> Iterator[slice]:
    """Yield slices of rows that together cover ``height``."""
    for start in range(0, height, _STRIP_ROWS):
        yield slice(start, start + _STRIP_ROWS)
