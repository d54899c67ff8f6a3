"""Encrypted files and streams: AES-256-GCM in chunks, so that any size streams through.

::

    header   "ragdiag" 1 · key id (8) · salt (32) · chunk size (4, big-endian)
    chunks   each ``chunk size`` bytes encrypted, and a tag of 16; only the last may be shorter

Each file has a key of its own: HKDF-SHA256 (RFC 5869) of the secret, with the salt, over the
header. Its nonces count the chunks, and their last byte says which chunk is the last (the STREAM
construction of Hoang, Reyhanitabar, Rogaway and Vizár, 2015). So a changed header, a changed,
moved, missing or added chunk and a cut file are each refused; what was decrypted before is genuine.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from ragdiag.errors import StoreError
from ragdiag.privacy.keys import KEY_BYTES, KEY_ID_BYTES, Key, Keyring

MAGIC = b"ragdiag\x01"
CHUNK = 65_536
LARGEST_CHUNK = 16_777_216
"""More than that is not ours: a reader would have to hold it."""
_SALT = 32
_TAG = 16
_HEADER = len(MAGIC) + KEY_ID_BYTES + _SALT + 4


@contextmanager
def encrypting(target: BinaryIO, keyring: Keyring) -> Iterator[BinaryIO]:
    """A stream that writes encrypted to ``target``.

    Only a block that ends well writes the last chunk: what an error cut short never reads as whole.
    ``target`` is neither closed nor synced. Raises KeyMissing.
    """
    writer = _Writer(target, keyring.to_encrypt())
    yield writer  # type: ignore[misc]
    writer.finish()


def decrypting(source: BinaryIO, keyring: Keyring, name: str) -> BinaryIO:
    """A stream of what ``source``, which begins with a header, says; ``name`` is for messages.

    Raises KeyMissing, and StoreError (also while reading) where anything was changed or is missing.
    """
    return io.BufferedReader(_Reader(source, keyring, name), CHUNK)


def open_decrypted(path: Path, keyring: Keyring) -> BinaryIO:
    """``path`` for reading, decrypted if it is encrypted. OSErrors pass through."""
    source = path.open("rb")
    try:
        if not is_encrypted(path):
            return source
        return decrypting(source, keyring, str(path))
    except BaseException:
        source.close()
        raise


def encrypt_bytes(content: bytes, keyring: Keyring) -> bytes:
    target = io.BytesIO()
    with encrypting(target, keyring) as stream:
        stream.write(content)
    return target.getvalue()


def decrypt_bytes(content: bytes, keyring: Keyring, name: str) -> bytes:
    return decrypting(io.BytesIO(content), keyring, name).read()


def is_encrypted(path: Path) -> bool:
    """Whether the file begins as an encrypted one does."""
    with path.open("rb") as stream:
        return stream.read(len(MAGIC)) == MAGIC


def key_id_of(path: Path) -> str:
    """The id of the key that an encrypted file needs."""
    with path.open("rb") as stream:
        return _parse(stream.read(_HEADER), str(path))[0]


class _Writer(io.RawIOBase):
    def __init__(self, target: BinaryIO, key: Key) -> None:
        salt = os.urandom(_SALT)
        header = MAGIC + bytes.fromhex(key.key_id) + salt + CHUNK.to_bytes(4, "big")
        self._cipher = _Cipher(key, salt, header)
        self._target = target
        self._waiting = bytearray()
        target.write(header)

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._waiting += data
        while len(self._waiting) > CHUNK:  # a full chunk may be the last one: it waits
            self._target.write(self._cipher.encrypt(bytes(self._waiting[:CHUNK]), last=False))
            del self._waiting[:CHUNK]
        return len(data)

    def finish(self) -> None:
        self._target.write(self._cipher.encrypt(bytes(self._waiting), last=True))


class _Reader(io.RawIOBase):
    def __init__(self, source: BinaryIO, keyring: Keyring, name: str) -> None:
        header = source.read(_HEADER)
        key_id, salt, self._size = _parse(header, name)
        self._cipher = _Cipher(keyring.find(key_id, name), salt, header)
        self._source, self._name = source, name
        self._next = source.read(self._size + _TAG)
        self._plain = memoryview(b"")
        self._done = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._plain and not self._done:
            block, self._next = self._next, self._source.read(self._size + _TAG)
            self._done = not self._next
            self._plain = memoryview(self._cipher.decrypt(block, self._done, self._name))
        taken = self._plain[: len(buffer)]
        buffer[: len(taken)] = taken
        self._plain = self._plain[len(taken) :]
        return len(taken)

    def close(self) -> None:
        self._source.close()
        super().close()


class _Cipher:
    """Encrypts or decrypts the chunks of one file in their order."""

    def __init__(self, key: Key, salt: bytes, header: bytes) -> None:
        derived = HKDF(SHA256(), KEY_BYTES, salt, info=header).derive(key.secret)
        self._aead = AESGCM(derived)
        self._chunks = 0

    def encrypt(self, plain: bytes, *, last: bool) -> bytes:
        return self._aead.encrypt(self._nonce(last), plain, None)

    def decrypt(self, block: bytes, last: bool, name: str) -> bytes:
        number = self._chunks + 1
        try:
            return self._aead.decrypt(self._nonce(last), block, None)
        except InvalidTag:
            raise _damaged(name, f"from chunk {number} on") from None

    def _nonce(self, last: bool) -> bytes:
        nonce = self._chunks.to_bytes(11, "big") + bytes([last])
        self._chunks += 1
        return nonce


def _parse(header: bytes, name: str) -> tuple[str, bytes, int]:
    """Key id, salt and chunk size."""
    if len(header) < _HEADER or not header.startswith(MAGIC):
        raise _damaged(name, "in its header")
    salt = header[len(MAGIC) + KEY_ID_BYTES : -4]
    size = int.from_bytes(header[-4:], "big")
    if not 1 <= size <= LARGEST_CHUNK:
        raise _damaged(name, "in its header")
    return header[len(MAGIC) : len(MAGIC) + KEY_ID_BYTES].hex(), salt, size


def _damaged(name: str, where: str) -> StoreError:
    return StoreError(
        f"{name} is not what was encrypted: it was cut, changed or put together anew {where}",
        remedy="restore it from a backup",
    )
