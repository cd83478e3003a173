import json
import zipfile

import gradio as gr
import httpx
import pytest
from gradio.context import LocalContext

from studio import paths
from studio.cli import main
from studio.data.folder import _archive
from studio.errors import ConfigError
from studio.ui import account
from studio.ui.api import account as api
from studio.ui.guard import check_user, guarded, who
from studio.ui.repaint import following
from studio.ui.sets import opened

VISIBLE = "visible"


@pytest.fixture
def logged_in():
    """Let handlers believe that Eva asks."""
    request = gr.Request(username="eva")
    token = LocalContext.request.set(request)
    yield "eva"
    LocalContext.request.reset(token)


def test_nobody_has_an_account_where_nobody_logs_in(context):
    shown, told = account.on_load(context)
    assert not shown.visible
    assert told == ""
    assert who() == ""


def test_handlers_work_for_whom_they_answer(context, logged_in):
    assert who() == "eva"
    assert guarded(context, lambda context: paths.user())() == "eva"

    def tell(context):
        yield paths.user()
        yield paths.user()

    assert list(following(context, tell)()) == ["eva", "eva"]
    assert paths.user() == ""


def test_nothing_is_remembered_of_somebody_whose_data_is_deleted(context, heads_folder, tmp_path):
    for name in ("eva", "otto"):
        with paths.acting_for(name):
            paths.data().mkdir(parents=True)
            place = paths.data() / "mine.zip"
            with zipfile.ZipFile(place, "w") as archive:
                archive.write(heads_folder / "000000.png", "a.png")
            opened(context, place).source.read("a.png")
            context.memory.get(("facts", "mine"), lambda: 1, lambda made: 100)
            context.notice()
            context.moved("old", "new")
    with paths.acting_for("eva"):
        used = context.memory.used
        account.forget(context)
        assert context.memory.find(("facts", "mine")) is None
        assert context.called("old") == "old"
    assert context.memory.used == used // 2
    assert "eva" not in context.stamps
    # No file that was deleted is held open.
    assert _archive.cache_info().currsize == 0
    with paths.acting_for("otto"):
        assert context.memory.find(("facts", "mine")) == 1
        assert context.called("old") == "new"


def test_the_page_itself_names_nothing_of_the_machines_own_home(make_checkpoint, request):
    make_checkpoint(tag="secret-hats")
    page = request.getfixturevalue("blocks")
    assert "secret-hats" not in json.dumps(page.get_config_file(), default=str)


def test_a_mistake_in_a_handler_that_shows_several_things_is_one_sentence(context):
    def refuse(context):
        yield "Looking."
        raise ConfigError("There is none.")

    shown = following(context, refuse)()
    assert next(shown) == "Looking."
    with pytest.raises(gr.Error, match="There is none") as raised:
        next(shown)
    assert (raised.value.title, raised.value.print_exception) == ("That did not work", False)


def test_an_account_says_what_is_there(context, logged_in, make_checkpoint):
    with paths.acting_for("eva"):
        make_checkpoint(tag="mine")
    shown, told = guarded(context, account.on_load)()
    assert shown.visible
    assert "logged in as eva" in told
    assert "0 training jobs, 0 data sets, 1 model and 0 own sliders" in told


def test_all_is_deleted_only_when_it_was_confirmed(context, logged_in, make_checkpoint):
    with paths.acting_for("eva"):
        name = make_checkpoint(tag="mine")
        context.models.store._roots = ()
        context.models.get(name)
        assert name in context.models.warm()
    with pytest.raises(gr.Error, match="Nothing was deleted"):
        guarded(context, account.on_delete)("yes")
    with pytest.raises(gr.Error, match="confirm must be true"):
        guarded(context, api.on_delete)("yes")
    assert guarded(context, api.on_count)()["checkpoints"] == 1
    told, words = guarded(context, account.on_delete)(" Delete ")
    assert "0 models" in told
    assert words == ""
    assert not (paths.users() / "eva").exists()
    assert context.models.used() == 0


@pytest.mark.parametrize("name", ["", "..", ".eva", "a/b", "eva otto", "x" * 65, "a\nb"])
def test_a_name_that_is_no_folder_is_no_user(name):
    with pytest.raises(ConfigError, match="is no user name"):
        check_user(name)


def test_users_are_listed_and_deleted_from_the_command_line(make_checkpoint, capsys):
    with paths.acting_for("eva"):
        make_checkpoint(tag="mine")
    assert main(["users", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["users"]["eva"]["checkpoints"] == 1
    assert main(["users", "delete", "otto"]) == 2
    assert "there are eva" in capsys.readouterr().err
    assert main(["users", "delete", "eva"]) == 0
    assert main(["users", "list"]) == 0
    assert "No user has made anything" in capsys.readouterr().out


class Visitor:
    """Somebody who logged in at a served page and asks its API."""

    def __init__(self, url, name, password):
        self.url = url
        self.browser = httpx.Client(timeout=60)
        self.browser.post(f"{url}/login", data={"username": name, "password": password})

    def ask(self, endpoint, *values):
        place = f"{self.url}/gradio_api/call/{endpoint}"
        event = self.browser.post(place, json={"data": list(values)}).json()["event_id"]
        lines = self.browser.get(f"{place}/{event}").text.splitlines()
        kind = next(line.removeprefix("event: ") for line in lines if line.startswith("event: "))
        data = [line.removeprefix("data: ") for line in lines if line.startswith("data: ")][-1]
        return kind, json.loads(data)


@pytest.mark.slow
def test_two_users_of_a_page_see_only_their_own(serve, page_home, make_checkpoint, monkeypatch):
    monkeypatch.setenv("LATENT_STUDIO_HOME", str(page_home))
    with paths.acting_for("eva"):
        name = make_checkpoint(tag="evas")
    url = serve("--auth", "eva:secret", "--auth", "otto:other")
    eva, otto = Visitor(url, "eva", "secret"), Visitor(url, "otto", "other")
    names = {
        who: {card["name"] for card in visitor.ask("models")[1][0]}
        for who, visitor in (("eva", eva), ("otto", otto))
    }
    assert name in names["eva"]
    assert name not in names["otto"]
    assert eva.ask("my_data")[1][0]["user"] == "eva"
    kind, _ = otto.ask("model_delete", name)
    assert kind == "error"
    assert otto.ask("delete_my_data", True)[1][0]["checkpoints"] == 0
    assert eva.ask("my_data")[1][0]["checkpoints"] == 1
    assert eva.ask("delete_my_data", True)[1][0]["checkpoints"] == 0
    assert name not in {card["name"] for card in eva.ask("models")[1][0]}
    for visitor in (eva, otto):
        visitor.browser.close()
