"""The tab Train in a real browser, with a real job."""

import zipfile

import pytest

pytestmark = pytest.mark.slow


@pytest.fixture
def zipped(heads_folder, tmp_path):
    """Return a zip of the rendered heads, as a person would drop it."""
    file = tmp_path / "smiling people.zip"
    with zipfile.ZipFile(file, "w") as archive:
        for one in sorted(heads_folder.iterdir()):
            archive.write(one, one.name)
    return file


def open_train(visitor):
    visitor.get_by_role("tab", name="Train").click()
    visitor.wait_for_selector("#train-verdict .ls-set")
    visitor.wait_for_function("document.querySelector('#train-tag textarea').value !== ''")


def act(visitor, words):
    visitor.locator("#train-board .ls-deeds").get_by_role("button", name=words).click()


def state(visitor, words):
    visitor.wait_for_selector(f"#train-board .ls-job header .ls-badge:has-text('{words}')")


def choose(visitor, box, words):
    visitor.locator(f"{box} input").click()
    visitor.get_by_role("option").filter(has_text=words).first.click()
    visitor.wait_for_function(
        "([box, words]) => document.querySelector(`${box} input`).value.includes(words)",
        arg=[box, words],
    )


def test_a_zip_becomes_a_model_that_swaps(visit, zipped):
    visitor = visit(viewport={"width": 1440, "height": 900})
    open_train(visitor)
    visitor.set_input_files("#train-upload input[type=file]", zipped)
    visitor.wait_for_function(
        "document.querySelector('#train-sets input').value === 'smiling-people.zip'"
    )
    visitor.wait_for_selector("#train-check:has-text('Look again')")
    assert "40 pictures" in visitor.locator("#train-verdict").inner_text()
    # What the set is called after is proposed; all else is one's own.
    assert visitor.locator("#train-attribute input").input_value().startswith("Smiling")
    # All that follows an upload has been answered when the estimate stands there.
    visitor.wait_for_function(
        "/^(?!Measuring)./.test(document.querySelector('#train-estimate').innerText.trim())"
    )
    choose(visitor, "#train-parent", "from scratch")
    visitor.wait_for_function("document.querySelector('#train-steps input').value === '6000'")
    choose(visitor, "#train-size", "32 pixels")
    visitor.locator("#train-tag textarea").fill("by-hand")
    visitor.locator("#train-steps input").fill("400")
    visitor.locator("#train-more > button").click()
    visitor.get_by_text("The method's own settings").click()
    width = visitor.locator('#train-fields [data-name="width"]')
    width.locator("input").fill("4")
    width.locator("input").press("Tab")
    visitor.wait_for_selector('#train-fields [data-name="width"][data-changed="true"]')
    visitor.locator("#train-save-every input").fill("5")
    visitor.locator("#train-patience input").fill("0")
    visitor.locator("#train-batch input").fill("4")
    # A name that is taken is refused, and nothing that was typed is lost.
    visitor.locator("#train-tag textarea").fill("other")
    visitor.locator("#train-start").click()
    visitor.wait_for_selector(".toast-body:has-text('genegan.other already')")
    assert visitor.locator("#train-steps input").input_value() == "400"
    visitor.locator("#train-tag textarea").fill("by-hand")
    visitor.locator("#train-start").click()
    state(visitor, "Training")
    visitor.wait_for_selector("#train-board .ls-plots[data-points]")
    assert [
        visitor.locator("#train-board .ls-job header h3").inner_text().partition(".")[2],
        width.locator("input").input_value(),
    ] == ["by-hand", "4"]
    # Another page, opened anew, finds it still running.
    visitor.reload()
    open_train(visitor)
    state(visitor, "Training")
    act(visitor, "Pause")
    state(visitor, "Paused")
    act(visitor, "Resume")
    state(visitor, "Training")
    act(visitor, "Finish here")
    state(visitor, "Done")
    visitor.wait_for_selector("#train-board img[alt^='What the model does after']")
    act(visitor, "Open in Swap")
    visitor.wait_for_selector('.ls-stage[data-painted="1.00"]')
    assert "by-hand" in visitor.locator("#checkpoint input").input_value()
    assert visitor.get_by_role("tab", name="Swap").get_attribute("aria-selected") == "true"


def test_marks_outlive_a_reload_and_become_a_set(visit, zipped):
    visitor = visit(viewport={"width": 1440, "height": 900})
    open_train(visitor)
    visitor.set_input_files("#train-upload input[type=file]", zipped)
    visitor.wait_for_selector("#train-check:has-text('Look again')")
    visitor.get_by_role("tab", name="Label").click()
    visitor.wait_for_selector("#train-labels .ls-labels[data-painted]")
    cells = visitor.locator(".ls-label-grid button")
    cells.nth(0).click()
    cells.nth(4).click(modifiers=["Shift"])
    cells.nth(6).press("0")
    # The next one has the focus.
    visitor.keyboard.press("0")
    visitor.wait_for_selector('#train-labels .ls-labels[data-marked="5 2"]')
    visitor.wait_for_timeout(500)
    visitor.reload()
    open_train(visitor)
    visitor.get_by_role("tab", name="Label").click()
    visitor.wait_for_selector('#train-labels .ls-labels[data-marked="5 2"]')
    visitor.locator("#train-attribute-name textarea").fill("Odd")
    visitor.locator("#train-marked textarea").fill("odd people")
    visitor.get_by_role("button", name="Save as data set").click()
    visitor.wait_for_function(
        "/^odd people/.test(document.querySelector('#train-sets input').value)"
    )
    visitor.wait_for_selector('#train-labels .ls-labels[data-marked="0 0"]')
    choose(visitor, "#train-attribute", "Odd (5 with, 2 without)")
    # It is deleted at the second press.
    delete = visitor.locator("#train-delete button")
    delete.click()
    visitor.wait_for_selector("#train-delete button:has-text('Really delete odd people')")
    delete.click()
    visitor.wait_for_selector(".toast-body:has-text('odd people')")
    visitor.wait_for_function(
        "!/^odd people/.test(document.querySelector('#train-sets input').value)"
    )
