"""The wire between a function and the core's daemon, without a time-out like the original."""

from __future__ import annotations

import os
from urllib.error import URLError
from urllib.request import Request, urlopen

_FUNCTIONS = "http://localhost:{port}/2016-11-01/functions/{arn}"


class IPCException(Exception):
    """The daemon could not be reached or refused."""


class IPCClient:
    """Posts work to other functions, the router among them."""

    def __init__(self, endpoint: str = "localhost", port: int | None = None) -> None:
        del endpoint
        self.port = port or int(os.environ["GG_DAEMON_PORT"])
        self.token = os.environ["AWS_CONTAINER_AUTHORIZATION_TOKEN"]

    def post_work(
        self, function_arn: str, body: bytes, context: bytes, invocation_type: str
    ) -> str | None:
        url = _FUNCTIONS.format(port=self.port, arn=function_arn)
        request = Request(url, body, method="POST")  # noqa: S310 - http to this machine
        request.add_header("X-Amz-Client-Context", context.decode())
        request.add_header("Authorization", self.token)
        request.add_header("X-Amz-Invocation-Type", invocation_type)
        try:
            with urlopen(request) as reply:  # noqa: S310 - as above
                invocation: str | None = reply.headers.get("X-Amz-InvocationId")
                return invocation
        except URLError as error:
            raise IPCException(str(error)) from error
