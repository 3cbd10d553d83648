"""Personal values at rest: sealed with KMS, bound to the item they belong to."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


class Sealer:
    """
    Encrypts small documents under one KMS key.

    The encryption context names the item a document belongs to. Moved to another item, it
    no longer opens; and every opening is in CloudTrail under that name.
    """

    def __init__(self, kms: Any, *, key_id: str) -> None:
        self._kms = kms
        self._key_id = key_id

    def seal(self, document: Any, *, context: Mapping[str, str]) -> bytes:
        """Return *document* (JSON, at most 4 KB) as ciphertext."""
        plaintext = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
        response = self._kms.encrypt(
            KeyId=self._key_id, Plaintext=plaintext, EncryptionContext=dict(context)
        )
        ciphertext: bytes = response["CiphertextBlob"]
        return ciphertext

    def open(self, ciphertext: bytes, *, context: Mapping[str, str]) -> Any:
        """Return the document that was sealed under the same *context*."""
        response = self._kms.decrypt(
            KeyId=self._key_id, CiphertextBlob=ciphertext, EncryptionContext=dict(context)
        )
        return json.loads(response["Plaintext"])
