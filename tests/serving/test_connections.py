"""What clients do to connections: too long, too slow, cut in pieces, ended halfway, no HTTP."""

import http.client
import json
import socket
from concurrent.futures import ThreadPoolExecutor

import pytest
from running_server import HOST, PATIENCE, TEXTBOOK, answers, post, read_all, serving

from linexport.serving._reading import HEADER_BYTES, HEADER_LINES, PART_BYTES

ROW = {"x1": 1, "x2": 2}
SMALL, LARGE = post(ROW), post([ROW] * 6000)
GET = b"GET /v2/health/live HTTP/1.1\r\n" + HOST + b"\r\n"
CHUNKED = b"POST /v2/models/textbook/rows HTTP/1.1\r\ntransfer-encoding: chunked\r\n" + HOST
BODY = b"\r\nf\r\n" + json.dumps(ROW, separators=(",", ":")).encode() + b"\r\n0\r\n"
CLOSE = b"connection: close"


@pytest.fixture(scope="module")
def server():
    """One for all tests, nothing of which is worth more to its log than the lines of requests."""
    with serving(TEXTBOOK, "--client-timeout", 1) as started:
        yield started
        stop_quietly(started)


def stop_quietly(server):
    assert server.stop() == 0
    while (line := server.lines.get(timeout=PATIENCE))["event"] != "stopped":
        assert line["event"] in {"request", "stopping"}, line


def ask(server, *parts):
    """Send and return what is answered until the server closes."""
    with server.connect() as client:
        for part in parts:
            client.sendall(part)
        return answers(read_all(client))


def statuses(server, *parts):
    return [status for status, _ in ask(server, *parts)]


def test_trailers_without_end_are_refused(server):
    with server.connect() as greedy:
        greedy.sendall(CHUNKED + BODY)
        with pytest.raises(ConnectionError):
            greedy.sendall((b"x: " + b"a" * 1000 + b"\r\n") * 20_000)
    while server.event("request")["status"] != 431:
        pass


def test_trailers_are_not_taken_for_headers(server):
    asked = CHUNKED + BODY + b"content-encoding: gzip\r\n\r\n"
    assert statuses(server, asked + post(ROW, CLOSE)) == [200, 200]


@pytest.mark.parametrize("more", [0, 1])
def test_the_number_of_headers_is_bounded(server, more):
    others = 3  # content-length, host, connection
    request = post(ROW, *[b"x: a"] * (HEADER_LINES - others + more), CLOSE)
    assert statuses(server, request) == [431 if more else 200]


def test_headers_are_counted_before_all_are_there(server):
    assert statuses(server, b"GET /v2 HTTP/1.1\r\n" + b"x: a\r\n" * 2 * HEADER_LINES) == [431]


def test_long_headers_are_taken_up_to_the_limit_and_not_past_it(server):
    def asked(num_bytes):
        return post(ROW, b"x: " + b"a" * num_bytes, CLOSE)

    assert statuses(server, asked(HEADER_BYTES - 1000)) == [200]
    with server.connect() as greedy:
        greedy.sendall(asked(HEADER_BYTES + PART_BYTES)[: HEADER_BYTES + PART_BYTES + 1])
        assert greedy.recv(12) == b"HTTP/1.1 431"


@pytest.mark.parametrize(("before", "count"), [(SMALL, 1250), (GET, 2000), (LARGE, 1)])
def test_what_comes_before_a_header_is_not_counted_as_header(server, before, count):
    assert len(before) * count > 1.2 * HEADER_BYTES
    last = post(ROW, CLOSE)
    assert statuses(server, before * count + last[:20], last[20:]) == [200] * (count + 1)


@pytest.mark.parametrize("first", [SMALL, GET], ids=["small", "common"])
@pytest.mark.parametrize("half", [SMALL[:20], SMALL[:-3], LARGE[:200]])
def test_half_a_request_that_came_with_another_is_not_waited_for(server, first, half):
    assert statuses(server, first + half) == [200, 408]
    server.wait_for_requests_in_flight(0)


def test_the_rest_of_a_refused_body_is_not_waited_for_and_not_answered(server):
    assert statuses(server, post(ROW, b"content-encoding: gzip")[:-3]) == [415]


UPGRADE = (b"connection: Upgrade, HTTP2-Settings", b"upgrade: h2c", b"http2-settings: AAMAAABk")


def test_another_protocol_that_is_asked_for_is_ignored(server):
    get = b"GET /v2 HTTP/1.1\r\n" + HOST + b"\r\n".join([*UPGRADE, b"", b""])
    chunked = CHUNKED + b"\r\n".join(UPGRADE) + b"\r\n" + BODY + b"\r\n"
    asked = post(ROW, *UPGRADE) + SMALL + get * 300 + chunked + LARGE + get + post(ROW, CLOSE)
    found = ask(server, asked)
    assert [status for status, _ in found] == [200] * 306
    assert found[0] == found[1] == found[302]


def test_what_is_no_proxy_does_not_connect(server):
    ((status, document),) = ask(server, b"CONNECT a:80 HTTP/1.1\r\nhost: a:80\r\n\r\n")
    assert (status, "CONNECT" in document["error"]) == (501, True)


@pytest.mark.parametrize(
    "asked",
    [SMALL, GET, LARGE, CHUNKED + BODY + b"\r\n", post(ROW, CLOSE), SMALL + LARGE + GET + SMALL],
    ids=["small", "get", "large", "chunked", "close", "several"],
)
def test_a_client_that_ends_its_side_gets_its_answers(server, asked):
    with server.connect() as client:
        client.sendall(asked)
        client.shutdown(socket.SHUT_WR)
        found = [status for status, _ in answers(read_all(client))]
    assert found == [200] * asked.count(b"HTTP/1.1")


@pytest.mark.parametrize(
    "half", [SMALL[:20], SMALL[:-3], LARGE[:-3]], ids=["head", "small", "large"]
)
@pytest.mark.parametrize("before", [b"", LARGE], ids=["alone", "after another"])
def test_a_client_that_ends_its_side_within_a_request_gets_the_other_answers(server, before, half):
    with server.connect() as client:
        client.sendall(before + half)
        client.shutdown(socket.SHUT_WR)
        found = [status for status, _ in answers(read_all(client))]
    # If the end is seen while the other is being answered, half a request is answered too.
    assert found in ([[200], [200, 400]] if before else [[]])


def expecting(body_bytes):
    head = b"POST /v2/models/textbook/rows HTTP/1.1\r\nexpect: 100-continue\r\n" + HOST
    return head + b"content-length: %d\r\n\r\n" % body_bytes


def test_a_connection_is_closed_after_a_refusal_of_what_was_not_sent(server):
    assert statuses(server, expecting(1 << 30)) == [413]


def test_a_connection_is_kept_after_an_answer_to_what_was_waited_for(server):
    _, _, body = SMALL.partition(b"\r\n\r\n")
    with server.connect() as client:
        client.sendall(expecting(len(body)))
        assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(body + post(ROW, CLOSE))
        assert [status for status, _ in answers(read_all(client))] == [200, 200]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (b"FOO /v2 HTTP/1.1\r\n\r\n", "not valid HTTP: Invalid method encountered"),
        (CHUNKED + b"\r\nzz\r\n", "not valid HTTP: Invalid character in chunk size"),
        (CHUNKED + b"content-length: 15\r\n" + BODY, "Content-Length can't be present"),
        (b"GET /v2/\xff HTTP/1.1\r\n\r\n", "The address is not valid"),
        (b"GET http://[::1 HTTP/1.1\r\n\r\n", "not valid"),
        (b"GET /v2 HTTP/1.1\r\nx\r\n\r\n", "not valid HTTP: Invalid header token"),
    ],
)
@pytest.mark.parametrize("before", [[], [SMALL], [SMALL, LARGE]], ids=len)
def test_what_is_no_http_is_refused_with_a_sentence_in_its_turn(server, before, asked, said):
    *answered, (status, refused) = ask(server, b"".join(before) + asked)
    assert [status for status, _ in answered] == [200] * len(before)
    assert (status, list(refused)) == (400, ["error"])
    assert said in refused["error"]
    assert refused["error"].endswith(".")


def test_clients_that_ask_are_told_that_the_server_stops():
    """By the answer to a request, so that they know that no other is answered there."""

    def ask_until_told(_):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
        told = None
        while told is None:
            connection.request("POST", "/v2/models/textbook/rows", json.dumps(ROW))
            response = connection.getresponse()
            response.read()
            assert response.status == 200
            told = response.getheader("connection")
        return told

    with serving(TEXTBOOK) as server, ThreadPoolExecutor(8) as pool:
        asking = pool.map(ask_until_told, range(8))
        server.event("request")
        assert server.stop() == 0
        assert list(asking) == ["close"] * 8


def test_a_server_that_stops_waits_for_no_client_that_asks_nothing():
    """Whether or not it asked before; their time to ask is longer than the test's."""
    with (
        serving(TEXTBOOK, "--client-timeout", 1000) as server,
        server.connect() as silent,
        server.connect() as idle,
    ):
        for request in (SMALL, GET):
            idle.sendall(request)
            assert idle.recv(4096).startswith(b"HTTP/1.1 200")
        assert server.stop() == 0
        assert silent.recv(1) == b""


def test_half_a_request_that_came_with_another_is_not_waited_for_by_a_server_that_stops():
    with (
        serving(TEXTBOOK, "--client-timeout", 1) as server,
        server.connect() as small,
        server.connect() as common,
    ):
        small.sendall(SMALL + SMALL[:-3])
        common.sendall(GET + LARGE[:-3])
        server.wait_for_requests_in_flight(2)
        stop_quietly(server)
        for client in (small, common):
            assert [status for status, _ in answers(read_all(client))] == [200, 408]
