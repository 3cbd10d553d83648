"""The ring of identity keys in Secrets Manager, as functions that hash read it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from forecourt.keyring import KeyRing

if TYPE_CHECKING:
    from collections.abc import Callable


class IdentityKeys:
    """
    Returns the ring in the secret *secret_id*, read again when it is *remembered_seconds* old.

    For so long a container may not know of a key that was introduced; a rotation waits for it.
    *vault* opens the client when it is first needed: most cold starts never do.
    """

    def __init__(
        self,
        vault: Callable[[], Any],
        *,
        secret_id: str,
        remembered_seconds: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._vault = vault
        self._secret_id = secret_id
        self._remembered_seconds = remembered_seconds
        self._clock = clock
        self._client: Any = None
        self._read_at: float = 0
        self._ring: KeyRing | None = None

    def __call__(self) -> KeyRing:
        """Return the ring. It is never older than that, even if the vault cannot answer."""
        now = self._clock()
        if self._ring is None or now - self._read_at > self._remembered_seconds:
            if self._client is None:
                self._client = self._vault()
            response = self._client.get_secret_value(SecretId=self._secret_id)
            self._ring = KeyRing.from_text(response["SecretString"])
            self._read_at = now
        return self._ring

    def forget(self) -> None:
        """Read the ring anew the next time."""
        self._ring = None
