"""
MiniStack, started so that it is this machine's alone and ends with whoever started it.

Run as `python -m infra.local.emulator`.  Its MQTT port would otherwise be open to the network,
it would stay behind when its parent is killed, and four kinds of grants would be judged otherwise
than by AWS.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

from ministack.app import main
from ministack.core import iam_actions
from ministack.services import iot

from infra.local.leading_keys import enforce_leading_keys

LOOPBACK = "127.0.0.1"
FOLDER_PREFIX = "forecourt-"
ANY_ADDRESS = "0.0.0.0"  # noqa: S104 - the value to be replaced


def listen_on_loopback_only() -> None:
    """Keep MQTT off the network: BIND_HOST is for the HTTP port alone."""
    create_server = asyncio.BaseEventLoop.create_server

    async def create_loopback_server(
        loop: asyncio.BaseEventLoop,
        protocol_factory: Any,
        host: Any = None,
        port: Any = None,
        **options: Any,
    ) -> asyncio.Server:
        if host == ANY_ADDRESS:
            host = LOOPBACK
        return await create_server(loop, protocol_factory, host, port, **options)

    asyncio.BaseEventLoop.create_server = create_loopback_server  # type: ignore[method-assign,assignment]


def judge_policies_by_their_certificate() -> None:
    """AWS IoT judges AttachPolicy by the certificate it is for, MiniStack by nothing: `*`."""
    resource_of = iam_actions.extract_resource_arn

    def resource_with_certificate(
        service: str, method: str, path: str, headers: Any, body: bytes, *others: Any
    ) -> Any:
        if service == "iot" and method == "PUT" and path.startswith("/target-policies/"):
            return json.loads(body)["target"]
        return resource_of(service, method, path, headers, body, *others)

    iam_actions.extract_resource_arn = resource_with_certificate


def know_encryption_contexts() -> None:
    """Tell conditions on `kms:EncryptionContext:<name>` what a request says there."""
    context_of = iam_actions.request_tag_context

    def context_with_encryption(service: str, action: str, body: bytes, params: Any) -> Any:
        context = context_of(service, action, body, params)
        if service != "kms":
            return context
        named = json.loads(body or b"{}").get("EncryptionContext", {})
        return context | {f"kms:EncryptionContext:{name}": named[name] for name in named}

    iam_actions.request_tag_context = context_with_encryption


def judge_batches_of_messages_by_their_members() -> None:
    """SQS knows no right to `SendMessageBatch`: who may send one message may send ten."""
    action_of = iam_actions.extract_iam_action

    def action_of_members(service: str, *request: Any) -> str | None:
        action: str | None = action_of(service, *request)
        return action.removesuffix("Batch") if service == "sqs" and action else action

    iam_actions.extract_iam_action = action_of_members


def make_the_tls_context_early() -> None:
    """
    Answer the first device, too.

    MiniStack makes the context when a device comes and pauses reading meanwhile; the asyncio of
    early Pythons (3.11.2 is one) reads all the same, and that device's greeting is lost.
    """
    start = iot.mtls_start

    async def start_with_context() -> None:
        await start()
        await iot._mtls_context()  # noqa: SLF001

    iot.mtls_start = start_with_context


def end_with_parent() -> None:
    """End when standard input closes: the parent holds its other end."""

    def wait_for_the_end() -> None:
        sys.stdin.buffer.read()
        # The parent would have removed it.
        folder = Path(tempfile.gettempdir())
        if folder.name.startswith(FOLDER_PREFIX):
            shutil.rmtree(folder, ignore_errors=True)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait_for_the_end, daemon=True).start()


if __name__ == "__main__":
    listen_on_loopback_only()
    enforce_leading_keys()
    judge_policies_by_their_certificate()
    know_encryption_contexts()
    judge_batches_of_messages_by_their_members()
    make_the_tls_context_early()
    end_with_parent()
    main()
