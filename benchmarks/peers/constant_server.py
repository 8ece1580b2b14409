"""The server's own stack, granian and uvloop, answering a constant.

What any server on it can reach at most. Prints the port once it listens.
"""

import asyncio
import socket
from typing import Any

import uvloop
from granian.constants import HTTPModes, Interfaces
from granian.server.embed import Server

ANSWER = (
    b'{"model_name":"m","model_version":"0123456789abcdef","outputs":[{"name":"prediction",'
    b'"datatype":"FP32","shape":[1,1],"data":[4.2]}]}'
)
HEADERS = [("content-type", "application/json")]


async def application(_: Any, exchange: Any) -> None:
    await exchange()
    exchange.response_bytes(200, HEADERS, ANSWER)


async def serve(port: int) -> None:
    server = Server(
        application,
        port=port,
        interface=Interfaces.RSGI,
        http=HTTPModes.http1,
        websockets=False,
        backlog=1024,
        log_enabled=False,
    )
    running = asyncio.create_task(server.serve())
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.01)
        else:
            writer.close()
            break
    print(port, flush=True)
    await running


def main() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(port))


if __name__ == "__main__":
    main()
