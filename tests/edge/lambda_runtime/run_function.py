"""Runs the imported function as the core does: import once, then one invocation after another."""

from __future__ import annotations

import base64
import json
import os
from types import SimpleNamespace
from urllib.request import urlopen

from forecourt_edge.lambda_function import function_handler

_WORK = "http://localhost:{port}/2016-11-01/functions/{arn}/work"


def main() -> None:
    url = _WORK.format(port=os.environ["GG_DAEMON_PORT"], arn=os.environ["MY_FUNCTION_ARN"])
    while True:
        with urlopen(url, timeout=60) as reply:  # noqa: S310 - http to this machine
            context = json.loads(base64.b64decode(reply.headers["X-Amz-Client-Context"]))
            event = json.loads(reply.read())
        function_handler(event, SimpleNamespace(client_context=SimpleNamespace(**context)))


if __name__ == "__main__":
    main()
