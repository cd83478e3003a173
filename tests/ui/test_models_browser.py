"""The tab Models, and pickers that follow it, in a real browser."""

import shutil

import pytest

pytestmark = pytest.mark.slow


@pytest.fixture
def arrive(page_home):
    """Return a function that lets a checkpoint arrive in the home of the page that runs."""
    made = []

    def copy(tag):
        folder = page_home / "checkpoints" / f"genegan.{tag}"
        shutil.copytree(page_home / "checkpoints" / "genegan.other", page_home / "arriving")
        made.append((page_home / "arriving").rename(folder))
        return folder

    yield copy
    for folder in made:
        shutil.rmtree(folder, ignore_errors=True)


def chosen(visitor, text):
    visitor.wait_for_function(
        "(text) => document.querySelector('#checkpoint input').value === text", arg=text
    )


def test_a_picker_learns_of_checkpoints_while_it_is_open(visit, arrive):
    visitor = visit()
    strength = visitor.locator("#strength input[type=range]")
    strength.press("ArrowRight")
    visitor.wait_for_selector('.ls-stage[data-painted="1.01"]')
    visitor.locator("#checkpoint input").click()
    folder = arrive("arrived")
    option = visitor.get_by_role("option", name="Eyeglasses · arrived")
    option.wait_for()
    # What was set up and what is open are left alone.
    assert strength.input_value() == "1.01"
    option.click()
    chosen(visitor, "Eyeglasses · arrived")
    # Answered after the choice.
    strength.press("ArrowRight")
    visitor.wait_for_selector('.ls-stage[data-painted="1.02"]')
    shutil.rmtree(folder)
    chosen(visitor, "Eyeglasses · eyeglasses-64")
    assert "genegan.arrived was deleted or renamed" in visitor.locator(".toast-body").inner_text()
    assert strength.input_value() == "1.02"


def test_a_model_is_renamed_deleted_and_got_back_by_keyboard(visit, arrive):
    arrive("mine")
    visitor = visit()
    visitor.get_by_role("tab", name="Models").click()

    def press(act):
        # A press does not wait for its button.
        visitor.locator(f'[data-act="{act}"]').wait_for()
        visitor.locator(f'[data-act="{act}"]').press("Enter")

    press("Rename genegan.mine")
    visitor.keyboard.type("other")
    visitor.keyboard.press("Enter")
    visitor.get_by_text("There is a checkpoint genegan.other already").wait_for()
    visitor.keyboard.press("Control+a")
    visitor.keyboard.type("better")
    visitor.keyboard.press("Enter")
    visitor.locator('[data-act="Delete genegan.better"]').wait_for()
    press("Delete genegan.better")
    visitor.locator(".ls-undo button:focus").wait_for()
    assert visitor.locator('[data-act="Delete genegan.better"]').count() == 0
    visitor.reload()
    visitor.wait_for_selector(".ls-stage[data-painted]")
    visitor.get_by_role("tab", name="Models").click()
    visitor.locator(".ls-trash summary").wait_for()
    visitor.locator(".ls-trash summary").press("Enter")
    press("Restore genegan.better")
    visitor.locator('[data-act="Delete genegan.better"]').wait_for()
    with visitor.expect_download() as download:
        press("Export genegan.better")
    visitor.set_input_files(".ls-intake input", download.value.path())
    visitor.locator(".ls-intake .ls-problem:not(:empty)").wait_for()
    press("Delete genegan.better")
    visitor.locator(".ls-undo button").wait_for()
    visitor.set_input_files(".ls-intake input", download.value.path())
    visitor.get_by_text("genegan.better is among your models now.").wait_for()
    press("Delete genegan.better")
    visitor.locator(".ls-undo button").wait_for()
