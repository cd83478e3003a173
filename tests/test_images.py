import io
import re

import numpy as np
import pillow_heif
import pytest
import torch
from PIL import Image, PngImagePlugin

from studio import images
from studio.errors import ImageError
from studio.images import (
    encode_png,
    fit,
    read_photo,
    resize,
    save_gif,
    save_mp4,
    sheet,
    to_images,
    to_pictures,
)

GRADIENT = np.stack(
    [
        np.tile(np.linspace(0, 255, 40), (24, 1)),
        np.tile(np.linspace(255, 0, 24)[:, None], (1, 40)),
        np.full((24, 40), 90),
    ],
    axis=2,
).astype(np.uint8)


def encoded(picture, format="PNG", **options):
    buffer = io.BytesIO()
    picture.save(buffer, format, **options)
    return buffer.getvalue()


def refusal(data):
    with pytest.raises(ImageError) as caught:
        read_photo(data)
    message = str(caught.value)
    assert message.endswith(".")
    assert "\n" not in message
    return message


@pytest.mark.parametrize("format", ["PNG", "WEBP"])
def test_lossless_formats_are_read_exactly(format):
    photo = read_photo(encoded(Image.fromarray(GRADIENT), format, lossless=True))
    assert np.array_equal(photo.pixels, GRADIENT)
    assert photo.alpha is None
    assert photo.pixels.flags.c_contiguous


def test_heic_and_jpeg_are_read():
    large = np.repeat(np.repeat(GRADIENT, 4, 0), 4, 1)
    heif = pillow_heif.from_pillow(Image.fromarray(large))
    buffer = io.BytesIO()
    heif.save(buffer, quality=90)
    jpeg = encoded(Image.fromarray(large), "JPEG", quality=95)
    for data in (buffer.getvalue(), jpeg):
        assert np.abs(read_photo(data).pixels.astype(int) - large).mean() < 4


def test_a_path_is_read_and_a_missing_one_refused(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(encode_png(GRADIENT))
    assert np.array_equal(read_photo(path).pixels, GRADIENT)
    with pytest.raises(ImageError, match="cannot be read"):
        read_photo(tmp_path / "b.png")
    with pytest.raises(ImageError, match="cannot be read"):
        read_photo(tmp_path)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_honoured_and_place_dropped(orientation):
    from PIL import ImageOps

    picture = Image.fromarray(GRADIENT)
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif.get_ifd(0x8825)[1] = "N"
    data = encoded(picture, exif=exif)
    upright = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB"))
    photo = read_photo(data)
    assert np.array_equal(photo.pixels, upright)
    assert not hasattr(photo, "exif")


def test_transparency_is_kept_beside_the_stored_colours():
    alpha = np.tile(np.linspace(0, 255, 40), (24, 1)).astype(np.uint8)
    photo = read_photo(encode_png(GRADIENT, alpha=alpha))
    assert np.array_equal(photo.pixels, GRADIENT)
    assert np.array_equal(photo.alpha, alpha)
    seen = photo.visible()
    assert (seen[:, 0] == 255).all()
    assert np.array_equal(seen[:, -1], GRADIENT[:, -1])


def test_opaque_photo_is_visible_as_it_is():
    photo = read_photo(encode_png(GRADIENT))
    assert photo.visible() is photo.pixels


@pytest.mark.parametrize("mode", ["L", "1", "P", "LA", "PA"])
def test_other_modes_become_rgb(mode):
    picture = Image.fromarray(GRADIENT).convert("RGBA" if mode == "PA" else "RGB")
    picture = picture.convert("P" if mode == "PA" else mode)
    photo = read_photo(encoded(picture))
    expected = np.asarray(picture.convert("RGB"))
    assert np.array_equal(photo.pixels, expected)


def test_cmyk_jpeg_becomes_rgb():
    picture = Image.fromarray(GRADIENT).convert("CMYK")
    photo = read_photo(encoded(picture, "JPEG", quality=95, icc_profile=b"cmyk profile"))
    assert np.abs(photo.pixels.astype(int) - GRADIENT).mean() < 8
    assert photo.icc is None


def test_sixteen_bit_grey_keeps_its_range():
    levels = np.linspace(0, 65535, 24 * 40).reshape(24, 40).astype(np.uint16)
    photo = read_photo(encoded(Image.fromarray(levels)))
    assert np.array_equal(photo.pixels[..., 0], np.rint(levels / 257).astype(np.uint8))


def test_profile_and_text_survive_but_xmp_does_not():
    info = PngImagePlugin.PngInfo()
    info.add_itxt("XML:com.adobe.xmp", "<GPS/>")
    info.add_text("latent-studio", "{}")
    data = encoded(Image.fromarray(GRADIENT), pnginfo=info, icc_profile=b"profile")
    photo = read_photo(data)
    assert photo.icc == b"profile"
    assert photo.text == {"latent-studio": "{}"}


def test_png_round_trip_keeps_everything():
    alpha = GRADIENT[..., 0]
    text = {"latent-studio": '{"schön": 1}' * 50}
    photo = read_photo(encode_png(GRADIENT, alpha=alpha, icc=b"profile", text=text))
    assert np.array_equal(photo.pixels, GRADIENT)
    assert np.array_equal(photo.alpha, alpha)
    assert photo.icc == b"profile"
    assert photo.text == text


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG"])
def test_animation_is_refused_by_name(format):
    frames = [Image.fromarray(np.roll(GRADIENT, shift, 1)) for shift in (0, 5, 10)]
    data = encoded(frames[0], format, save_all=True, append_images=frames[1:])
    assert f"animated {format}" in refusal(data)


def test_still_gif_and_other_kinds_are_refused_by_name():
    assert "GIF" in refusal(encoded(Image.fromarray(GRADIENT), "GIF"))
    assert "BMP" in refusal(encoded(Image.fromarray(GRADIENT), "BMP"))
    assert "PDF" in refusal(b"%PDF-1.7")


@pytest.mark.parametrize("data", [b"hello, world", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff" * 30])
def test_not_an_image_is_refused(data):
    assert "JPEG, PNG, WebP or HEIC" in refusal(data)


def test_empty_and_oversized_files_are_refused():
    assert "empty" in refusal(b"")
    assert "25 MB" in refusal(b"\xff\xd8" + bytes(images.MAX_BYTES))


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP"])
def test_truncated_file_is_refused(format):
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    data = encoded(Image.fromarray(noise), format)
    refusal(data[: len(data) // 2])


@pytest.mark.parametrize(
    ("size", "said"),
    [((1, 1), "1 x 1"), ((20000, 10), "20000 x 10"), ((2000, 20), "strip")],
)
def test_unusable_shapes_are_refused(size, said):
    assert said in refusal(encoded(Image.new("RGB", size)))


@pytest.mark.parametrize("side", [8000, 12000, 60000])
def test_image_bomb_is_refused_before_it_is_decoded(side, monkeypatch):
    data = bytearray(encode_png(GRADIENT))
    data[16:24] = side.to_bytes(4, "big") * 2
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("decoded"))
    # Pillow checks the header's sum before it believes the size.
    import zlib

    data[29:33] = zlib.crc32(bytes(data[12:29])).to_bytes(4, "big")
    assert re.search("megapixels", refusal(bytes(data)))


def test_images_and_pictures_are_exact_inverses():
    levels = np.arange(256, dtype=np.uint8).repeat(3).reshape(1, 16, 16, 3)
    tensor = to_images(levels)
    assert tensor.shape == (1, 3, 16, 16)
    assert tensor.min() == -1
    assert tensor.max() == 1
    assert np.array_equal(to_pictures(tensor), levels)
    assert to_images(levels[0]).shape == (1, 3, 16, 16)


def test_exaggerated_images_are_cut():
    assert to_pictures(torch.full((1, 3, 2, 2), 3.0)).min() == 255


def test_resize_averages_and_keeps_size_exact():
    assert np.array_equal(resize(GRADIENT, (40, 24)), GRADIENT)
    checker = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)
    small = resize(np.repeat(checker[..., None], 3, 2), 8)
    assert small.shape == (8, 8, 3)
    assert np.abs(small.astype(int) - 127).max() <= 2


def test_fit_only_reduces():
    assert fit(GRADIENT, 100) is GRADIENT
    assert fit(GRADIENT, 20).shape == (12, 20, 3)


def test_sheet_places_every_picture():
    red = np.zeros((30, 20, 3), np.uint8)
    red[..., 0] = 200
    table = sheet(
        [[red, None], [red, red]], row_labels=["one", "two"], column_labels=["a", "b"], gap=3
    )
    assert (table == (200, 0, 0)).all(axis=2).sum() == 3 * 600
    assert sheet([[red, red]], gap=0).shape == (30, 40, 3)


def test_films_can_be_read_back(tmp_path):
    import av

    frames = [np.roll(GRADIENT[:23, :39], shift, 1) for shift in range(5)]
    save_gif(tmp_path / "a.gif", frames)
    with Image.open(tmp_path / "a.gif") as film:
        assert film.n_frames == 5
    save_mp4(tmp_path / "a.mp4", frames)
    with av.open(str(tmp_path / "a.mp4")) as film:
        decoded = [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]
    assert len(decoded) == 5
    assert decoded[0].shape == (24, 40, 3)


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("has_alpha", [False, True])
def test_webp_is_read_exactly_whatever_its_size(large, has_alpha, monkeypatch):
    if large:
        monkeypatch.setattr(images, "_LARGE_WEBP", 10)
    alpha = GRADIENT[..., 0] // 2 + 100
    pixels = np.dstack([GRADIENT, alpha]) if has_alpha else GRADIENT
    data = encoded(Image.fromarray(pixels), "WEBP", lossless=True, exact=True)
    photo = read_photo(data)
    assert np.array_equal(photo.pixels, GRADIENT)
    assert (photo.alpha is not None) == has_alpha
    if has_alpha:
        assert np.array_equal(photo.alpha, alpha)
    refusal(data[: len(data) // 2])


def test_a_stack_centres_pictures_without_padding_rows():
    wide, narrow = (np.full((height, width, 3), 7, np.uint8) for height, width in ((3, 9), (5, 4)))
    page = images.stack([wide, narrow], gap=2)
    assert page.shape == (10, 9, 3)
    assert (page[:3] == 7).all()
    assert (page[3:5] == 255).all()
    assert (page[5:, 2:6] == 7).all()
    assert (page[5:, :2] == 255).all()
    assert (page[5:, 6:] == 255).all()
