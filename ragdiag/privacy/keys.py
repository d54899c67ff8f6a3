"""Encryption keys, as the environment holds them.

A key is 32 random bytes in base64 (``ragdiag privacy new-key`` prints one; ``openssl rand -base64
32`` makes one too). The variable may hold several, separated by blanks or commas: the first
encrypts, each decrypts what it encrypted. That is how a key is changed: put the new one in front,
run ``ragdiag privacy reencrypt``, take the old one out.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
import secrets
from dataclasses import dataclass, field

from ragdiag.configuration import Encrypted, PrivacyTable, read_configuration
from ragdiag.errors import InputError, KeyMissing
from ragdiag.settings import Workspace

KEY_BYTES = 32
KEY_ID_BYTES = 8


@dataclass(frozen=True, slots=True)
class Key:
    """``key_id`` names the key without telling anything about it, and is stored with the data."""

    secret: bytes = field(repr=False)

    @property
    def key_id(self) -> str:
        """Sixteen hexadecimal digits."""
        return hashlib.sha256(b"ragdiag key id\0" + self.secret).hexdigest()[: 2 * KEY_ID_BYTES]


@dataclass(frozen=True, slots=True)
class Keyring:
    """``keys[0]`` encrypts. ``source`` says where they come from, for messages; a ring without
    keys reads what is not encrypted and names what it lacks for the rest."""

    source: str
    keys: tuple[Key, ...] = ()

    def to_encrypt(self) -> Key:
        """Raises KeyMissing."""
        if not self.keys:
            raise KeyMissing(
                f"encryption is asked for, and {self.source} holds no key",
                remedy=f"set {self.source}; ragdiag privacy new-key prints a key",
            )
        return self.keys[0]

    def find(self, key_id: str, name: str) -> Key:
        """The key that ``name`` was encrypted with. Raises KeyMissing, telling none from wrong."""
        found = next((key for key in self.keys if key.key_id == key_id), None)
        if found is None:
            held = ", ".join(key.key_id for key in self.keys)
            has = f"has another ({held})" if held else "holds none"
            raise KeyMissing(
                f"{name} is encrypted with the key {key_id}, and {self.source} {has}",
                remedy=f"set {self.source} to that key, after the present one if there is one",
            )
        return found


def new_key() -> str:
    """A fresh key as the environment variable takes it: 44 characters."""
    return base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()


def read_keyring(variable: str) -> Keyring:
    """The keys in an environment variable; none where it is unset or empty.

    Raises InputError for one that is no key, by its place and never by its content.
    """
    return parse_keys(os.environ.get(variable, ""), variable)


def parse_keys(text: str, source: str) -> Keyring:
    """The keys that ``text`` holds. Raises InputError."""
    words = re.split(r"[\s,]+", text.strip())
    return Keyring(source, tuple(_key(word, source, i) for i, word in enumerate(words, 1) if word))


def keyring_for(privacy: PrivacyTable, what: Encrypted) -> Keyring | None:
    """The keys under which ``what`` is to be written; None where it is written as it is.

    Raises KeyMissing where it is to be encrypted and there is no key.
    """
    if what not in privacy.encrypt:
        return None
    keyring = read_keyring(privacy.encryption_key_env)
    keyring.to_encrypt()
    return keyring


def workspace_keys(workspace: Workspace) -> Keyring:
    """The keys that read what this workspace has encrypted; perhaps none."""
    return read_keyring(read_configuration(workspace).privacy.encryption_key_env)


def default_keys() -> Keyring:
    """The keys of the variable that is meant where no workspace says otherwise."""
    return read_keyring(PrivacyTable().encryption_key_env)


def _key(word: str, variable: str, place: int) -> Key:
    try:
        secret = base64.b64decode(word.replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError):
        secret = b""
    if len(secret) != KEY_BYTES:
        raise InputError(
            f"key {place} in {variable} is not {KEY_BYTES} bytes in base64",
            remedy="ragdiag privacy new-key prints one",
        )
    return Key(secret)
