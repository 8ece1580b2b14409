"""Raw bytes that are meant to confuse: each case with the statuses that it must get, and no other.

Behind each stands one more request. It is answered (the last 200) where there is no doubt where the
one before ends; else the connection is closed, so that nothing is taken for what it is not.
"""

import json
import socket

import pytest
from running_server import HOST, TEXTBOOK, answers, post, read_all, serving

ROW = {"x1": 1, "x2": 2}
BODY = json.dumps(ROW).encode()
CHUNKED = b"transfer-encoding: chunked"
WHOLE = b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)
LENGTH = b"content-length: %d" % len(BODY)
NEXT = b"GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"


def raw(*lines, body=BODY, target=b"/v2/models/textbook/rows", method=b"POST", version=b"1.1"):
    """Return a request whose headers are these alone, and Host."""
    head = b"%s %s HTTP/%s\r\n" % (method, target, version) + HOST
    return head + b"".join(line + b"\r\n" for line in lines) + b"\r\n" + body


def at(target, method=b"POST"):
    return raw(LENGTH, target=target, method=method)


def chunks(data):
    return raw(CHUNKED, body=data)


def shaped(shape):
    tensor = {"name": "features", "shape": shape, "datatype": "FP32", "data": [1, 2]}
    return post({"inputs": [tensor]}, path="/v2/models/textbook/infer")


BOTH = len(WHOLE) + len(NEXT)
FRAMING = {
    "length and chunks, that longer": (
        raw(b"content-length: %d" % BOTH, CHUNKED, body=WHOLE), [200],
    ),
    "chunks and length, that shorter": (raw(CHUNKED, b"content-length: 4", body=WHOLE), [200]),
    "two lengths": (raw(LENGTH, b"content-length: 5"), [400]),
    "two lengths alike": (raw(LENGTH, LENGTH), [200, 200]),
    "two lengths in one": (raw(b"content-length: 18, 18"), [400]),
    "a length with a sign": (raw(b"content-length: +18"), [400]),
    "a negative length": (raw(b"content-length: -1"), [400]),
    "a length in hexadecimal": (raw(b"content-length: 0x12"), [400]),
    "no length": (raw(b"content-length: "), [400]),
    "a blank before the colon": (raw(b"content-length : 18"), [400]),
    "a length beyond 64 bits": (raw(b"content-length: " + b"9" * 23), [400]),
    "a length of 63 bits": (raw(b"content-length: %d" % 2**63, body=b""), [413]),
    "no chunks at last": (raw(b"transfer-encoding: chunked, gzip", body=WHOLE), [400]),
    "no chunks": (raw(b"transfer-encoding: gzip"), [400]),
    "as if chunks": (raw(b"transfer-encoding: xchunked", body=WHOLE), [400]),
    "a vertical tab": (raw(b"transfer-encoding: \x0bchunked", body=WHOLE), [400]),
    "chunks, then not": (raw(CHUNKED, b"transfer-encoding: identity", body=WHOLE), [400]),
    "chunks in capitals": (raw(CHUNKED.upper(), body=WHOLE), [200, 200]),
    "chunks in HTTP/1.0": (raw(CHUNKED, body=WHOLE, version=b"1.0"), [400]),
    "a chunk beyond 64 bits": (chunks(b"f" * 17 + b"\r\n" + BODY), [400]),
    "a chunk of 64 bits": (chunks(b"f" * 16 + b"\r\n" + BODY), [408]),
    "a negative chunk": (chunks(b"-1\r\n" + BODY), [400]),
    "a chunk with 0x": (chunks(b"0x12\r\n" + BODY), [400]),
    "a chunk of garbage": (chunks(b"zz\r\n" + BODY), [400]),
    "a chunk without a size": (chunks(b"\r\n" + BODY), [400]),
    "a chunk that is longer than it says": (chunks(WHOLE.replace(b"}", b"}   ")), [200]),
    "chunks that end in garbage": (chunks(WHOLE.replace(b"\r\n0", b"\r\nzz")), [200]),
    "a chunk with an extension": (chunks(WHOLE.replace(b"\r\n", b";a=b\r\n", 1)), [200, 200]),
    "endless extensions": (chunks(b"12;" + b"a" * 100_000 + b"\r\n" + BODY), [400]),
    "a body where none is expected": (raw(LENGTH, target=b"/v2", method=b"GET"), [200, 200]),
    "a request as a body": (
        raw(b"content-length: %d" % len(NEXT), body=NEXT, target=b"/v2", method=b"PUT"), [405, 200],
    ),
}  # fmt: skip
LINES = {
    "NUL first": (b"\0" + post(ROW), [400]),
    "NUL in the address": (at(b"/v2/models/\0/rows"), [400]),
    "NUL in a name": (raw(LENGTH, b"x\0y: a"), [400]),
    "NUL in a value": (raw(LENGTH, b"x: a\0b"), [400]),
    "NUL behind a body": (raw(b"content-length: 19", body=BODY + b"\0"), [400, 200]),
    "a folded line": (raw(LENGTH, b"x: a\r\n b"), [400]),
    "CR alone": (raw(LENGTH, b"x: a\rb: c"), [400]),
    "no colon": (raw(LENGTH, b"xyz"), [400]),
    "HTTP/2": (raw(LENGTH, version=b"2.0"), [400]),
    "HTTP/0.9": (b"GET /v2\r\n\r\n", [400]),
    "a method in small letters": (at(b"/v2/models/textbook/rows", b"post"), [405, 200]),
    "another method": (at(b"/v2", b"BREW"), [405, 200]),
    "a long method": (at(b"/v2", b"A" * 1000), [405, 200]),
    "TRACE": (raw(target=b"/v2", method=b"TRACE", body=b""), [405, 200]),
    "OPTIONS *": (raw(target=b"*", method=b"OPTIONS", body=b""), [404, 200]),
}  # fmt: skip
ADDRESSES = {
    "absolute": (at(b"http://x/v2/models/textbook/rows"), [200, 200]),
    "absolute, for another host": (at(b"http://y:1/v2/models/textbook/rows"), [200, 200]),
    "of another kind": (at(b"ftp://x/v2/models/other/rows"), [404, 200]),
    "without a slash": (at(b"v2/models/textbook/rows"), [400]),
    "with a blank": (at(b"/v2/models/text book/rows"), [400]),
    "with a byte past ASCII": (at(b"/v2/models/\xff/rows"), [400]),
    "..": (at(b"/v2/models/../models/textbook/rows"), [404, 200]),
    ".. far up": (at(b"/v2/models/../../../etc/passwd", b"GET"), [404, 200]),
    ".. escaped": (at(b"/v2/models/%2e%2e/models/textbook/rows"), [404, 200]),
    "a slash escaped": (at(b"/v2/models%2ftextbook/rows"), [200, 200]),
    "NUL escaped": (at(b"/v2/models/textbook%00/rows"), [404, 200]),
    "no escape": (at(b"/v2/models/%zz/rows"), [404, 200]),
    "no UTF-8": (at(b"/v2/models/%ff/rows"), [404, 200]),
    "two slashes": (at(b"//v2//models/textbook/rows"), [404, 200]),
    "long": (at(b"/" + b"a" * 60_000), [404, 200]),
}
SHAPES = {
    "2**62 rows": (shaped([2**62, 2]), [413, 200]),
    "2**63 rows": (shaped([2**63, 2]), [413, 200]),
    "2**64 rows": (shaped([2**64, 2]), [413, 200]),
    "a product of 2**64": (shaped([2**32, 2**32]), [400, 200]),
    "-1 rows": (shaped([-1, 2]), [400, 200]),
    "half a row": (shaped([0.5, 2]), [400, 200]),
    "100,000 dimensions": (shaped([1] * 100_000), [400, 200]),
}


@pytest.fixture(scope="module")
def server():
    with serving(TEXTBOOK, "--client-timeout", 2) as started:
        yield started
        started.stop_quietly()


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, id=name)
        for table in (FRAMING, LINES, ADDRESSES, SHAPES)
        for name, case in table.items()
    ],
)
def test_what_is_meant_to_confuse_does_not(server, case):
    sent, expected = case
    with server.connect() as client:
        client.sendall(sent + NEXT)
        found = answers(read_all(client))
    assert [status for status, _ in found] == expected
    for status, said in found:
        assert said is None or status == 200 or len(said["error"]) < 400
    if len(expected) == 2:
        assert found[1][1] == {"live": True}


@pytest.mark.parametrize(("cut", "expected"), [(0, []), (3, [400])])
def test_a_connection_that_is_half_closed_gets_no_wrong_answer(server, cut, expected):
    """Who ends its side before it has its answer may get none."""
    request = post(ROW)
    with server.connect() as client:
        client.sendall(request[: len(request) - cut])
        client.shutdown(socket.SHUT_WR)
        statuses = [status for status, _ in answers(read_all(client))]
    assert statuses in ([], [200]) if not cut else statuses == expected
