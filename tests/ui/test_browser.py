"""The page in a real browser, on the loopback address."""

import numpy as np
import pytest

from studio import images

PAINTED = ".ls-stage[data-painted]"

pytestmark = pytest.mark.slow


def painted(visitor, strength):
    visitor.wait_for_selector(f'.ls-stage[data-painted="{strength}"]')


def put(visitor, role, file):
    """Choose a file for a role and declare it a crop."""
    place = f"#drop-{role}"
    before = visitor.locator(f"{place} .ls-photo img").get_attribute("src")
    visitor.set_input_files(f"{place} .ls-file", file)
    visitor.wait_for_function(
        "([place, before]) => document.querySelector(`${place} .ls-photo img`).src !== before",
        arg=[place, before],
    )
    visitor.locator(f"{place} .ls-adjust summary").click()
    visitor.locator(f"{place} .ls-whole").click()
    visitor.wait_for_selector(f'{place} .ls-drop:not([data-doubtful="true"])')


def test_dragging_and_arrow_keys_move_the_picture(visit):
    visitor = visit()
    slider = visitor.locator("#strength input[type=range]")
    box = slider.bounding_box()
    middle = box["y"] + box["height"] / 2
    visitor.mouse.move(box["x"] + box["width"] * 2 / 3, middle)
    visitor.mouse.down()
    drawn = lambda: visitor.evaluate(  # noqa: E731
        "document.querySelector('.ls-stage canvas').toDataURL()"
    )
    first = drawn()
    visitor.mouse.move(box["x"] + box["width"] * 0.9, middle, steps=8)
    visitor.wait_for_function("Number(document.querySelector('.ls-stage').dataset.painted) > 1.5")
    assert drawn() != first
    visitor.mouse.up()
    slider.focus()
    value = float(slider.input_value())
    slider.press("ArrowLeft")
    painted(visitor, f"{value - 0.01:.2f}")
    visitor.get_by_role("button", name="Undo").click()
    painted(visitor, "1.00")


def test_bad_file_is_one_sentence_and_nothing_is_lost(visit, tmp_path):
    visitor = visit()
    source = visitor.locator("#drop-receiver .ls-photo img").get_attribute("src")
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"this is no picture")
    visitor.set_input_files("#drop-receiver .ls-file", bad)
    visitor.get_by_text("not a picture that can be read").wait_for()
    visitor.wait_for_selector("#drop-receiver .ls-drop:not([data-busy])")
    assert visitor.locator("#drop-receiver .ls-photo img").get_attribute("src") == source
    visitor.locator("#strip .ls-choices button").nth(2).click()
    visitor.locator(".ls-caption", has_text="A without eyeglasses").wait_for()


def test_saved_file_restores_the_page_of_another_visit(visit, tmp_path, heads_pictures):
    files = []
    for name, picture in zip(("anna", "ben"), heads_pictures, strict=False):
        files.append(tmp_path / f"{name}.png")
        files[-1].write_bytes(images.encode_png(picture))
    visitor = visit(accept_downloads=True)
    put(visitor, "receiver", files[0])
    put(visitor, "donor", files[1])
    visitor.locator("#strength input[type=number]").fill("0.5")
    visitor.locator("#strength input[type=number]").press("Enter")
    painted(visitor, "0.50")
    with visitor.expect_download() as started:
        visitor.locator("#save").click()
    result = tmp_path / started.value.suggested_filename
    started.value.save_as(result)
    assert result.name == "anna__ben.png"
    assert images.read_photo(result).pixels.shape == (96, 96, 3)
    other = visit()
    other.set_input_files("#drop-donor .ls-file", result)
    painted(other, "0.50")
    assert other.locator("#drop-receiver strong").inner_text() == "Photo A"


def test_two_visitors_never_see_each_others_pictures(visit, tmp_path):
    red, blue = tmp_path / "red.png", tmp_path / "blue.png"
    for file, colour in ((red, (200, 30, 30)), (blue, (30, 30, 200))):
        file.write_bytes(images.encode_png(np.full((96, 96, 3), colour, np.uint8)))
    visitors = [visit(), visit()]
    for visitor, file in zip(visitors, (red, blue), strict=True):
        visitor.set_input_files("#drop-receiver .ls-file", file)
    for visitor in visitors:
        visitor.get_by_text("Check the crop of photo A").wait_for()
    for visitor, channel in zip(visitors, (0, 2), strict=True):
        colour = visitor.evaluate(
            """async () => {
              const picture = document.querySelector("#drop-receiver .ls-photo img");
              await picture.decode();
              const canvas = document.createElement("canvas");
              canvas.width = canvas.height = 1;
              canvas.getContext("2d").drawImage(picture, 0, 0, 1, 1);
              return [...canvas.getContext("2d").getImageData(0, 0, 1, 1).data];
            }"""
        )
        assert np.argmax(colour[:3]) == channel
        sources = visitor.evaluate(
            "[...document.querySelectorAll('.ls-desk img')].map((one) => one.src)"
        )
        assert all(source.startswith("data:") for source in sources if source)


def test_dragging_the_dot_moves_the_picture_and_a_click_takes_a_cell(visit, tmp_path):
    visitor = visit(accept_downloads=True)
    visitor.get_by_role("tab", name="Interpolate").click()
    visitor.wait_for_selector('.ls-morph[data-painted="0.500,0.500"]')
    pad = visitor.locator(".ls-pad")
    pad.scroll_into_view_if_needed()
    box = pad.bounding_box()
    drawn = lambda: visitor.evaluate(  # noqa: E731
        "document.querySelector('.ls-made canvas').toDataURL()"
    )
    first = drawn()

    def at(x, y):
        return box["x"] + x * box["width"], box["y"] + y * box["height"]

    visitor.mouse.move(*at(0.5, 0.5))
    visitor.mouse.down()
    visitor.mouse.move(*at(0.8, 0.3), steps=8)
    visitor.wait_for_function(
        "Number(document.querySelector('.ls-morph').dataset.painted.split(',')[0]) > 0.8"
    )
    dragged = drawn()
    assert dragged != first
    visitor.mouse.up()
    visitor.mouse.click(*at(0.03, 0.97))
    visitor.wait_for_selector('.ls-morph[data-painted="0.000,1.000"]')
    pad.press("ArrowRight")
    visitor.wait_for_selector('.ls-morph[data-painted="0.020,1.000"]')
    assert "2 % to the right" in pad.get_attribute("aria-valuetext")
    before = visitor.locator("#corner-b .ls-crop img").get_attribute("src")
    visitor.get_by_role("button", name="Use as corner B").click()
    visitor.wait_for_function(
        "(before) => document.querySelector('#corner-b .ls-crop img').src !== before", arg=before
    )
    visitor.get_by_text("Strip", exact=True).first.click()
    visitor.wait_for_selector('.ls-morph[data-mode="line"]')
    visitor.locator(".ls-frames button").nth(8).click()
    visitor.wait_for_selector('.ls-morph[data-painted^="1.000"]')
    with visitor.expect_download() as started:
        visitor.locator("#walk-save").click()
    started.value.save_as(tmp_path / "clip.gif")
    assert (tmp_path / "clip.gif").read_bytes().startswith(b"GIF89a")


def open_tab(visitor, name):
    """Open a tab, which on a narrow screen may stand in the menu behind the others."""
    tab = visitor.get_by_role("tab", name=name)
    if not tab.is_visible():
        visitor.locator(".overflow-menu button").first.click()
        tab = visitor.locator(".overflow-dropdown button", has_text=name)
    tab.click()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_phone_shows_sources_stage_controls_in_one_column(visit, scheme):
    visitor = visit(viewport={"width": 390, "height": 844}, color_scheme=scheme, has_touch=True)
    tops = [
        visitor.locator(zone).bounding_box()["y"]
        for zone in (".ls-sources", ".ls-middle", ".ls-controls")
    ]
    assert tops == sorted(tops)
    assert visitor.evaluate("document.documentElement.scrollWidth") <= 390
    for tab, filled in (("Interpolate", ".ls-morph[data-painted]"), ("Models", ".ls-model-card")):
        open_tab(visitor, tab)
        visitor.wait_for_selector(filled)
        assert visitor.evaluate("document.documentElement.scrollWidth") <= 390
    open_tab(visitor, "Swap")
    assert visitor.locator(PAINTED).first.is_visible()


def open_sliders(visitor):
    visitor.get_by_role("tab", name="Attributes").click()
    visitor.wait_for_selector("#face-sliders .ls-slider")
    visitor.wait_for_selector('#face-stage .ls-stage[data-painted="begun"]')
    return visitor.locator('#face-sliders .ls-slider[data-name="Eyeglasses"]')


def test_sliders_of_a_face_are_dragged_typed_searched_and_put_back(visit):
    visitor = visit()
    slider = open_sliders(visitor)
    number = slider.locator(".ls-number")
    begun = number.input_value()
    number.fill("90")
    number.press("Enter")
    visitor.wait_for_selector('#face-stage .ls-stage[data-painted="Eyeglasses 0.900"]')
    slider.locator(".ls-range").press("ArrowRight")
    visitor.wait_for_selector('#face-stage .ls-stage[data-painted="Eyeglasses 0.910"]')
    assert number.input_value() == "91"
    slider.get_by_role("button", name="Put Eyeglasses back").click()
    visitor.wait_for_selector('#face-stage .ls-stage[data-painted="begun"]')
    visitor.wait_for_function(
        "([place, value]) => document.querySelector(place).value === value",
        arg=['#face-sliders .ls-slider[data-name="Eyeglasses"] .ls-number', begun],
    )
    visitor.locator("#face-sliders .ls-search").fill("smil")
    assert not slider.is_visible()
    assert visitor.locator('#face-sliders .ls-slider[data-name="Smiling"]').is_visible()


def test_a_face_is_composed_and_its_seed_saved(visit, tmp_path):
    visitor = visit(accept_downloads=True)
    open_sliders(visitor)
    visitor.get_by_text("From attributes alone").click()
    visitor.wait_for_selector("#face-strip .ls-choices button:nth-child(9)")
    visitor.locator("#face-strip .ls-choices button").nth(3).click()
    visitor.locator("#face-stage .ls-caption", has_text="Seed 3").wait_for()
    with visitor.expect_download() as started:
        visitor.locator("#face-save").click()
    assert started.value.suggested_filename == "face-000003.png"


@pytest.fixture
def atlas(page_home, heads_folder, visit):
    """Return a visitor in front of the map of the rendered heads, and how to wait for another."""
    place = page_home / "data" / "heads"
    if not place.exists():
        place.parent.mkdir()
        place.symlink_to(heads_folder)
    visitor = visit(viewport={"width": 1440, "height": 900})
    visitor.get_by_role("tab", name="Explore").click()

    def wait(before=""):
        there = "(document.querySelector('.ls-atlas').dataset.painted || before) !== before"
        visitor.wait_for_function(f"(before) => {there}", arg=before)
        return visitor.locator(".ls-atlas").get_attribute("data-painted")

    first = wait()
    visitor.locator("#explore-sets input").click()
    visitor.get_by_role("option", name="heads", exact=True).click()
    second = wait(first)
    visitor.locator("#explore-checkpoint input").click()
    visitor.get_by_role("option").filter(has_text="other").click()
    wait(second)
    return visitor, wait


def across(visitor, *places):
    """Drag over places of the map, in parts of its width and height."""
    visitor.evaluate("window.scrollTo(0, 0)")
    box = visitor.locator(".ls-map-frame").bounding_box()
    points = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in places]
    visitor.mouse.move(*points[0])
    visitor.mouse.down()
    for point in points[1:]:
        visitor.mouse.move(*point, steps=4)
    visitor.mouse.up()


def card(visitor):
    return visitor.locator(".ls-card strong").inner_text()


def test_a_map_is_pointed_at_lassoed_and_walked(atlas):
    visitor, _ = atlas
    title = visitor.locator(".ls-gallery-title")
    pictures = visitor.locator(".ls-gallery button")
    # Looking a file up, opening it, and walking to a neighbour.
    visitor.locator(".ls-find").fill("000017")
    visitor.wait_for_function(
        "document.querySelector('.ls-gallery-title').textContent.startsWith('1 named like')"
    )
    pictures.first.click()
    visitor.wait_for_selector(".ls-card:not([hidden])")
    assert card(visitor) == "000017.png"
    there = "document.querySelectorAll('.ls-gallery button').length === {}"
    visitor.wait_for_function(there.format(12))
    visitor.get_by_role("button", name="Path from here").click()
    pictures.nth(3).click()
    visitor.wait_for_function(
        "document.querySelector('.ls-gallery-title').textContent === 'Decoded along the way'"
    )
    assert card(visitor).startswith("000017.png to ")
    visitor.wait_for_function(there.format(9))
    # A click on nothing decodes what lives there.
    across(visitor, (0.02, 0.02))
    visitor.wait_for_function("document.querySelector('.ls-card strong').textContent[0] === 'W'")
    assert visitor.locator(".ls-card img").get_attribute("src").startswith("data:image/png")
    # The map follows the hand.
    visitor.locator(".ls-find").fill("")
    visitor.wait_for_function("document.querySelector('.ls-two').hidden")
    moved = "getComputedStyle(document.querySelector('.ls-map-layer')).transform"
    frames = int(visitor.locator(".ls-atlas").get_attribute("data-frames"))
    across(visitor, (0.5, 0.5), (0.6, 0.6))
    assert int(visitor.locator(".ls-atlas").get_attribute("data-frames")) > frames
    visitor.get_by_role("button", name="Fit").click()
    visitor.wait_for_function(f"{moved} === 'matrix(1, 0, 0, 1, 0, 0)'")
    # Everything, by box and by lasso; the legend filters.
    visitor.get_by_role("button", name="Box", exact=True).click()
    across(visitor, (0.02, 0.02), (0.98, 0.98))
    visitor.wait_for_function(
        "document.querySelector('.ls-gallery-title').textContent.startsWith('40 selected')"
    )
    visitor.locator(".ls-colours button").first.click()
    visitor.get_by_role("button", name="Lasso").click()
    across(visitor, (0.02, 0.02), (0.02, 0.98), (0.98, 0.98), (0.98, 0.02))
    visitor.wait_for_function(
        "!document.querySelector('.ls-gallery-title').textContent.startsWith('40 selected')"
    )
    left = int(title.inner_text().split()[0])
    assert 0 < left < 40
    assert str(left) in visitor.locator(".ls-colours button").nth(1).inner_text()


def test_two_lassos_make_a_slider_and_a_point_opens_in_attributes(atlas):
    visitor, _ = atlas
    visitor.get_by_role("button", name="Box", exact=True).click()
    middle = "document.querySelector('.ls-count').textContent"
    for part, group in (((0.02, 0.45), "without"), ((0.5, 0.98), "with")):
        across(visitor, (part[0], 0.02), (part[1], 0.98))
        visitor.wait_for_function(f"{middle}.includes('selected')")
        visitor.locator(f"[data-group={'shown' if group == 'with' else 'absent'}]").click()
        visitor.wait_for_function(f"{middle}.includes('{group}: ')")
    visitor.get_by_label("Name of the slider").fill("To the right")
    visitor.get_by_role("button", name="Make a slider").click()
    visitor.wait_for_selector(".toast-body:has-text('To the right')")
    visitor.locator(".ls-find").fill("000005")
    visitor.locator(".ls-gallery button").first.click()
    visitor.get_by_role("button", name="Open in Attributes").click()
    visitor.wait_for_selector('#face-sliders .ls-slider[data-name="To the right"]')
    assert visitor.get_by_role("tab", name="Attributes").get_attribute("aria-selected") == "true"


def test_a_map_turns_into_another_and_into_space(atlas):
    visitor, wait = atlas
    before = visitor.locator(".ls-atlas").get_attribute("data-painted")
    visitor.get_by_label("t-SNE").click()
    second = wait(before)
    across(visitor, (0.5, 0.5))
    visitor.wait_for_selector(".ls-card:not([hidden])")
    visitor.get_by_label("3-D").click()
    wait(second)
    assert visitor.locator(".ls-map-plot .gl-container canvas, .ls-map-plot #scene canvas").count()
    assert visitor.get_by_role("button", name="Lasso").is_disabled()
