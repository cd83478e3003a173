import pytest
import torch

from studio import bank, paths
from studio.bank import SavedPart
from studio.errors import ConfigError, DataError


def smile(name="My Smile", part="expression", checkpoint="disentangle.x", seed=0):
    latent = torch.randn(1, 4, 2, 2, generator=torch.Generator().manual_seed(seed))
    # What a network on the CPU gives has this layout, which a file cannot have.
    latent = latent.contiguous(memory_format=torch.channels_last)
    return SavedPart(name, part, checkpoint, "0f", latent, b"\x89PNG thumbnail")


def test_a_saved_part_comes_back_from_the_disk_and_can_be_deleted(home):
    bank.save(smile())
    assert [path.name for path in paths.bank().iterdir()] == ["my-smile.safetensors"]
    back = bank.load("my smile")
    assert back.facts() == smile().facts()
    assert torch.equal(back.latent, smile().latent)
    assert back.thumbnail == smile().thumbnail
    assert back.digest == smile().digest != smile(seed=1).digest
    bank.delete("My smile")
    with pytest.raises(DataError, match="no saved part 'My Smile' of your own; there are none"):
        bank.load("My Smile")


def test_parts_are_listed_by_checkpoint_and_kind(home):
    for one in (smile(), smile("Lamp", "light"), smile("Other", checkpoint="disentangle.y")):
        bank.save(one)
    assert bank.names() == ["Lamp", "My Smile", "Other"]
    assert bank.names("disentangle.x") == ["Lamp", "My Smile"]
    assert bank.names("disentangle.x", "light") == ["Lamp"]
    assert bank.names(part="expression") == ["My Smile", "Other"]


def test_a_name_is_given_once(home):
    bank.save(smile())
    with pytest.raises(ConfigError, match="There is a saved part 'my smile' already"):
        bank.save(smile("my smile", seed=1))
    assert torch.equal(bank.load("My Smile").latent, smile().latent)


def test_a_renamed_part_is_the_same_under_another_name(home):
    bank.save(smile())
    bank.save(smile("Lamp", "light"))
    bank.rename("My Smile", "Grin")
    assert bank.names() == ["Grin", "Lamp"]
    assert torch.equal(bank.load("Grin").latent, smile().latent)
    bank.rename("Grin", "GRIN")
    assert bank.names() == ["GRIN", "Lamp"]
    with pytest.raises(ConfigError, match="a saved part 'Lamp' already"):
        bank.rename("GRIN", "Lamp")
    with pytest.raises(DataError, match="no saved part 'My Smile'"):
        bank.rename("My Smile", "Smirk")
    with pytest.raises(ConfigError, match="no name for a saved part"):
        bank.rename("GRIN", "...")
    assert bank.names() == ["GRIN", "Lamp"]


@pytest.mark.parametrize("name", ["", "...", "a" * 41, "two\nlines"])
def test_names_that_cannot_be_kept_are_refused(home, name):
    with pytest.raises(ConfigError, match="no name for a saved part"):
        bank.save(smile(name))


def test_a_damaged_file_is_named_and_left_out_of_the_list(home):
    bank.save(smile())
    (paths.bank() / "bad.safetensors").write_bytes(b"nothing")
    # A slider's file is none of the bank's.
    whole = (paths.bank() / "my-smile.safetensors").read_bytes()
    (paths.bank() / "cut.safetensors").write_bytes(whole[:-40])
    (paths.bank() / "odd.safetensors").write_bytes(whole.replace(b"expression", b"", 1))
    assert bank.names() == ["My Smile"]
    for name in ("bad", "cut", "odd"):
        with pytest.raises(DataError, match=rf"saved part in {name}\.safetensors is damaged"):
            bank.load(name)
