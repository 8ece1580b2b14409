"""What clients do to connections: too long, too slow, cut in pieces, ended halfway, no HTTP."""

import http.client
import json
import shutil
import signal
import socket
from concurrent.futures import ThreadPoolExecutor

import pytest
from running_server import HOST, PATIENCE, TEXTBOOK, answers, post, read_all, serving

from linexport.serving._server import HEADER_BYTES

ROWS = "/v2/models/textbook/rows"
ROW = {"x1": 1, "x2": 2}
SMALL, LARGE = post(ROW), post([ROW] * 6000)
GET = b"GET /v2/health/live HTTP/1.1\r\n" + HOST + b"\r\n"
CHUNKED = b"POST /v2/models/textbook/rows HTTP/1.1\r\ntransfer-encoding: chunked\r\n" + HOST
BODY = b"\r\nf\r\n" + json.dumps(ROW, separators=(",", ":")).encode() + b"\r\n0\r\n"
CLOSE = b"connection: close"


@pytest.fixture(scope="module")
def server():
    """One for all tests, nothing of which is worth more to its log than the lines of requests."""
    with serving(TEXTBOOK) as started:
        yield started
        started.stop_quietly()


@pytest.fixture(scope="module")
def hasty():
    """One for the tests that wait for its patience to end."""
    with serving(TEXTBOOK, "--client-timeout", 2, "--idle-timeout", 2) as started:
        yield started
        started.stop_quietly()


def ask(server, *parts):
    """Send and return what is answered until the server closes."""
    with server.connect() as client:
        for part in parts:
            client.sendall(part)
        return answers(read_all(client))


def statuses(server, *parts):
    return [status for status, _ in ask(server, *parts)]


def test_answers_come_in_the_order_of_the_requests(server):
    sent = [SMALL, post({"x1": 0}), GET, SMALL, LARGE, SMALL, SMALL, GET]
    got = ask(server, b"".join(sent) + post({"x1": 0, "x2": 0}, CLOSE))
    assert [status for status, _ in got] == [200, 400, 200, 200, 200, 200, 200, 200, 200]
    assert [len(document.get("rows", ())) for _, document in got] == [1, 0, 0, 1, 6000, 1, 1, 0, 1]
    assert got[2][1] == {"live": True}
    assert got[0] == got[3]


def test_whichever_way_it_comes_a_request_is_answered_alike(server):
    requests = [
        post(ROW, CLOSE),
        post(ROW, version="1.0"),
        post(ROW, CLOSE, path=f"{ROWS}?a=b"),
        CHUNKED + CLOSE + b"\r\n" + BODY + b"\r\n",
    ]
    found = [answer for request in requests for answer in ask(server, request)]
    assert found == [found[0]] * len(requests)


@pytest.mark.parametrize("hosts", [b"", 2 * HOST])
def test_a_request_without_one_host_is_refused(server, hosts):
    ((status, said),) = ask(server, post(ROW, CLOSE).replace(HOST, hosts))
    assert (status, said["error"]) == (400, "A request has one Host header (RFC 9112, 3.2).")


def test_an_address_means_what_its_escapes_mean(tmp_path):
    bundles = [shutil.copytree(TEXTBOOK, tmp_path / name) for name in ("x%41", "xA", "ä b")]
    meant = {"x%41/rows": "xA", "xA/rows": "xA", "x%2541/rows?a": "x%41", "%C3%A4%20b/rows": "ä b"}
    with serving(*bundles) as server:
        for address, name in meant.items():
            ((_, document),) = ask(server, post(ROW, CLOSE, path=f"/v2/models/{address}"))
            assert document["model_name"] == name


def test_a_body_may_come_in_parts(server):
    with server.connect() as client:
        for byte in SMALL:
            client.sendall(bytes([byte]))
        ((status, _),) = answers(client.recv(4096))
    assert status == 200


def test_trailers_are_not_taken_for_headers(server):
    asked = CHUNKED + BODY + b"content-encoding: gzip\r\n\r\n"
    assert statuses(server, asked + post(ROW, CLOSE)) == [200, 200]


@pytest.mark.parametrize("more", [0, 1])
def test_the_number_of_headers_is_bounded(server, more):
    others = 3  # content-length, host, connection
    request = post(ROW, *[b"x: a"] * (100 - others + more), CLOSE)
    assert statuses(server, request) == [431 if more else 200]


def test_long_headers_are_taken_up_to_the_limit_and_not_past_it(server):
    def asked(num_bytes):
        return post(ROW, b"x: " + b"a" * num_bytes, CLOSE)

    assert statuses(server, asked(HEADER_BYTES - 1000)) == [200]
    with server.connect() as greedy:
        greedy.sendall(asked(HEADER_BYTES)[:HEADER_BYTES])
        assert greedy.recv(12) == b"HTTP/1.1 431"


def test_half_a_body_that_came_with_another_request_is_not_waited_for(hasty):
    assert statuses(hasty, SMALL + LARGE[:-3]) == [200, 408]
    assert statuses(hasty, GET + SMALL[:20]) == [200]
    hasty.wait_for_requests_in_flight(0)


def test_the_rest_of_a_refused_body_is_not_waited_for_for_ever(hasty):
    assert statuses(hasty, post(ROW, b"content-encoding: br")[:-3]) == [415]


def test_another_protocol_that_is_asked_for_is_ignored(server):
    upgrade = (b"connection: Upgrade, HTTP2-Settings", b"upgrade: h2c", b"http2-settings: AAMAAABk")
    asked = post(ROW, *upgrade) + SMALL + post(ROW, CLOSE)
    first, *others = ask(server, asked)
    assert others == [first] * 2


def test_what_is_no_proxy_does_not_connect(server):
    asked = b"CONNECT a:80 HTTP/1.1\r\nhost: a:80\r\nconnection: close\r\n\r\n"
    assert statuses(server, asked) == [404]


def expecting(body_bytes):
    head = b"POST /v2/models/textbook/rows HTTP/1.1\r\nexpect: 100-continue\r\n" + HOST
    return head + b"content-length: %d\r\n\r\n" % body_bytes


def test_a_client_that_waits_to_be_asked_for_the_body_is(server):
    _, _, body = SMALL.partition(b"\r\n\r\n")
    with server.connect() as client:
        client.sendall(expecting(len(body)))
        assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(body + post(ROW, CLOSE))
        assert [status for status, _ in answers(read_all(client))] == [200, 200]
    with server.connect() as client:
        client.sendall(expecting(1 << 30))
        assert client.recv(12) == b"HTTP/1.1 413"


def test_a_client_that_leaves_is_noted_and_its_place_is_free_again(server):
    with server.connect() as client:
        client.sendall(SMALL[:-3])
        server.wait_for_requests_in_flight(1)
    while server.event("request")["status"] not in (400, 499):
        pass
    server.wait_for_requests_in_flight(0)


def test_a_connection_without_requests_is_closed(hasty):
    assert statuses(hasty, SMALL) == [200]


@pytest.mark.parametrize(
    "asked",
    [
        b"FOO\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
        b"GET /v2 HTTP/1.1\r\nx\r\n\r\n",
        b"GET http://[::1 HTTP/1.1\r\n\r\n",
        SMALL.replace(b"content-length: 18", b"content-length: 18\r\ncontent-length: 19"),
    ],
)
def test_what_is_no_http_is_refused(server, asked):
    assert statuses(server, SMALL + asked) == [200, 400]


def test_sigterm_under_load_loses_nothing():
    """What comes on open connections is answered, until an answer says that it is the last."""

    def ask_until_told(_):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
        told, asked = None, 0
        while told is None:
            connection.request("POST", ROWS, json.dumps(ROW))
            response = connection.getresponse()
            assert json.loads(response.read())["rows"]
            told, asked = response.getheader("connection"), asked + 1
        return told, asked

    with serving(TEXTBOOK, "--workers", 2) as server, ThreadPoolExecutor(8) as pool:
        asking = pool.map(ask_until_told, range(8))
        for _ in range(100):
            server.event("request")
        assert server.stop() == 0
        assert [told for told, _ in asking] == ["close"] * 8


def test_a_server_that_stops_waits_for_no_client_that_asks_nothing():
    """Whether or not it asked before; their time to ask is longer than the test's."""
    with (
        serving(TEXTBOOK, "--client-timeout", 1000, "--idle-timeout", 1000) as server,
        server.connect() as silent,
        server.connect() as idle,
    ):
        for request in (SMALL, GET):
            idle.sendall(request)
            assert idle.recv(4096).startswith(b"HTTP/1.1 200")
        server.process.send_signal(signal.SIGTERM)
        assert silent.recv(1) == b""
        assert idle.recv(1) == b""
        assert server.process.wait(PATIENCE) == 0


def test_a_server_that_stops_waits_for_half_a_body_its_time():
    with serving(TEXTBOOK, "--client-timeout", 5) as server, server.connect() as halfway:
        halfway.sendall(GET + LARGE[:-3])
        server.wait_for_requests_in_flight(1)
        server.stop_quietly()
        assert [status for status, _ in answers(read_all(halfway))] == [200, 408]


def test_a_server_that_stops_waits_for_no_client_that_does_not_take_its_answer_for_ever():
    options = ("--client-timeout", 1, "--answer-timeout", 2)
    with serving(TEXTBOOK, *options) as server, server.connect() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.settimeout(0.5)
        with pytest.raises(TimeoutError):  # more answers than the system's buffers hold
            deaf.sendall(post([ROW] * 30_000) * 100)
        assert server.stop() == 0


def test_a_second_signal_ends_the_server_at_once():
    with serving(TEXTBOOK) as server, server.connect() as halfway:
        halfway.sendall(LARGE[:-3])
        server.wait_for_requests_in_flight(1)
        server.process.send_signal(signal.SIGTERM)
        server.event("stopping")
        assert server.stop() == -signal.SIGTERM
