"""Taking a changed model in while the old one serves."""

import asyncio

import numpy as np
import pytest

from linexport.errors import BundleError
from linexport.serving._reloading import Reloader


class Source:
    """A model whose files a test changes."""

    def __init__(self, name, load):
        self.name, self.load_now, self.state, self.loads = name, load, 0, 0

    def fingerprint(self):
        return self.state

    def load(self):
        self.loads += 1
        return self.load_now()


@pytest.fixture
def source(make_model):
    return Source("flats", make_model)


def refuse():
    raise BundleError("flats: model.onnx is not the file that manifest.json lists.")


def test_a_model_that_does_not_load_at_first_is_an_error(source):
    source.load_now = refuse
    with pytest.raises(BundleError):
        Reloader([source]).load_all()


def test_a_changed_model_is_swapped_in_and_an_unchanged_one_left_alone(
    source, make_client, make_model
):
    other = Source("rents", lambda: make_model("rents"))
    reloader = Reloader([source, other])
    client = make_client(*reloader.load_all())
    source.load_now, source.state = lambda: make_model(version="v2"), 1
    asyncio.run(reloader.reload_changed(client.application))
    assert (source.loads, other.loads) == (2, 1)
    assert client.application.versions == {"flats": "v2", "rents": "v1"}
    assert client.lines[-1] | {"time": 0} == {
        "time": 0,
        "event": "loaded",
        "model": "flats",
        "version": "v2",
    }
    asyncio.run(reloader.reload_changed(client.application))
    assert source.loads == 2
    asyncio.run(reloader.reload(client.application))
    assert (source.loads, other.loads) == (3, 2)


@pytest.mark.parametrize("failure", [refuse, lambda: 1 / 0])
def test_a_model_that_fails_leaves_the_old_one_and_says_why(
    source, make_client, make_model, failure
):
    reloader = Reloader([source])
    client = make_client(*reloader.load_all())
    source.load_now, source.state = failure, 1
    for _ in range(2):  # it is not tried again until it changes again
        asyncio.run(reloader.reload_changed(client.application))
    assert source.loads == 2
    assert client.application.versions == {"flats": "v1"}
    (line,) = client.lines
    assert "model.onnx is not the file" in line.get("reason", "") or line["event"] == "failure"
    page = client.get("/metrics").body.decode()
    assert 'linexport_model_loads_total{model="flats",outcome="refused"} 1.0' in page
    source.load_now, source.state = lambda: make_model(version="v3"), 2
    asyncio.run(reloader.reload_changed(client.application))
    assert client.application.versions == {"flats": "v3"}


def test_what_is_asked_many_times_is_loaded_anew_once(source, make_client):
    async def ask_often():
        reloader = Reloader([source])
        client = make_client(*reloader.load_all())
        task = asyncio.create_task(reloader.reload_when_asked(client.application))
        for _ in range(300):
            reloader.ask()
        while source.loads < 2:
            await asyncio.sleep(0.001)
        reloader.ask()
        while source.loads < 3:
            await asyncio.sleep(0.001)
        task.cancel()

    asyncio.run(ask_often())
    assert source.loads == 3


def test_a_model_that_is_asked_otherwise_is_refused_unless_allowed(source, make_client, make_model):
    reloader = Reloader([source])
    client = make_client(*reloader.load_all())
    source.load_now = lambda: make_model(version="v2", names=("b", "a"))
    asyncio.run(reloader.reload(client.application))
    assert client.application.versions == {"flats": "v1"}
    ready = client.get("/v2/health/ready")
    assert ready.status == 200  # what serves goes on serving
    reason = ready.json["refused"]["flats"]
    assert reason == (
        "flats: the new model is asked otherwise: columns 'a', 'b' became 'b', 'a'. Serve it under "
        "another name, or start the server with "
        "config=ServeConfig(allow_signature_change=True)."
    )
    assert client.post("/v2/repository/index", {}).json[0]["reason"] == reason
    assert b'linexport_model_refused{model="flats"} 1.0' in client.get("/metrics").body
    source.load_now = lambda: make_model(version="v3")
    asyncio.run(reloader.reload(client.application))
    assert "refused" not in client.get("/v2/health/ready").json
    assert b'linexport_model_refused{model="flats"}' not in client.get("/metrics").body
    client.application._may_change = True
    source.load_now = lambda: make_model(version="v4", dtype=np.float64)
    asyncio.run(reloader.reload(client.application))
    assert client.application.versions == {"flats": "v4"}
    assert [line["event"] for line in client.lines if line["event"] != "request"] == [
        "refused",
        "loaded",
        "loaded",
    ]
