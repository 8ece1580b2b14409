"""The document at /openapi.json: it holds together, and the server answers as it says."""

import re
from urllib.parse import quote, unquote

import pytest

NAME = "my model ä%41{x}"
"""A directory may have it, and an address may not hold it as it is."""
BASE = "/v2/models/" + quote(NAME)


@pytest.fixture(params=["error", "nan"])
def client(request, make_client, make_model):
    return make_client(make_model(), make_model(NAME, missing=request.param))


@pytest.fixture
def described(client):
    return client.get("/openapi.json").json


def operations(described):
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def resolved(schema, described):
    """Have references lead to what they name."""
    return {**schema, "components": described["components"]}


def test_the_document_has_what_openapi_asks_for(described):
    assert re.fullmatch(r"3\.1\.\d+", described["openapi"])
    assert {"title", "version"} <= described["info"].keys()
    for path, _, operation in operations(described):
        assert re.fullmatch(r"/[\w/.:%~-]*", path), "a brace would be a parameter's"
        assert operation["summary"]
        for status, response in operation["responses"].items():
            assert re.fullmatch("[2-5][0-9]{2}", status)
            assert response["description"]
            for media in response["content"].values():
                assert resolved(media["schema"], described)


def test_every_address_answers_as_it_is_described(client, described):
    jsonschema = pytest.importorskip("jsonschema")

    def require(response, operation):
        media = operation["responses"][str(response.status)]["content"]
        kind, *_ = response.headers["content-type"].split(";")
        if kind == "application/json":
            jsonschema.validate(response.json, resolved(media[kind]["schema"], described))
        else:
            assert kind in media

    for path, method, operation in operations(described):
        address = unquote(path)  # as a server hands it on
        wrong = client.get(address, "PUT")
        assert wrong.status == 405
        require(wrong, operation)
        if "requestBody" not in operation:
            good = client.get(address, method.upper())
        else:
            content = operation["requestBody"]["content"]["application/json"]
            jsonschema.validate(content["example"], resolved(content["schema"], described))
            good = client.post(address, content["example"])
            refused = client.post(address, b"{")
            assert refused.status == 400
            require(refused, operation)
        assert good.status == 200
        require(good, operation)
        if path.startswith(BASE):
            assert "404" in operation["responses"]
    client.application.ready = False
    stopping = client.get("/v2/health/ready")
    assert stopping.status == 503
    require(stopping, described["paths"]["/v2/health/ready"]["get"])


def test_a_value_may_be_null_where_that_is_allowed(client, described):
    content = described["paths"][f"{BASE}/rows"]["post"]["requestBody"]["content"]
    row, _ = content["application/json"]["schema"]["oneOf"]
    answer = client.post(f"/v2/models/{NAME}/rows", {"a": None, "b": 1})
    may_be_null = "null" in row["properties"]["a"]["type"]
    assert answer.status == (200 if may_be_null else 400)


def test_a_name_stands_in_addresses_as_a_client_must_send_it(client, described):
    assert f"{BASE}/versions/v1/infer" in described["paths"]
    assert NAME not in client.get("/openapi.json").body.decode()


def test_tensors_may_be_binary(described):
    infer = described["paths"][f"{BASE}/infer"]["post"]
    assert "application/octet-stream" in infer["requestBody"]["content"]
    assert infer["parameters"][0]["name"] == "Inference-Header-Content-Length"
    assert described["paths"][f"{BASE}/versions/v1/infer"]["post"] == infer
