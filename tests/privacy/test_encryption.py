from __future__ import annotations

import base64
import io
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragdiag.configuration import PrivacyTable
from ragdiag.errors import InputError, KeyMissing, StoreError
from ragdiag.privacy.encryption import (
    CHUNK,
    decrypt_bytes,
    decrypting,
    encrypt_bytes,
    encrypting,
    is_encrypted,
    key_id_of,
    open_decrypted,
)
from ragdiag.privacy.keys import Key, Keyring, keyring_for, new_key, read_keyring

RING = Keyring("RAGDIAG_KEY", (Key(b"a" * 32),))
OTHER = Keyring("RAGDIAG_KEY", (Key(b"b" * 32),))
NONE = Keyring("RAGDIAG_KEY")
HEADER = 52
BLOCK = CHUNK + 16


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK])
def test_what_goes_in_comes_out_whatever_its_size(size: int) -> None:
    content = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    sealed = encrypt_bytes(content, RING)
    assert decrypt_bytes(sealed, RING, "it") == content
    assert len(sealed) == HEADER + size + 16 * max(1, -(-size // CHUNK))
    assert encrypt_bytes(content, RING) != sealed, "each file has a key of its own"


@settings(max_examples=50, deadline=None)
@given(st.lists(st.binary(max_size=200_000), max_size=4), st.integers(1, 100_000))
def test_it_streams_in_any_pieces(pieces: list[bytes], step: int) -> None:
    target = io.BytesIO()
    with encrypting(target, RING) as stream:
        for piece in pieces:
            stream.write(piece)
    target.seek(0)
    source = decrypting(target, RING, "it")
    assert b"".join(iter(lambda: source.read(step), b"")) == b"".join(pieces)


SEALED = encrypt_bytes(bytes(3 * CHUNK + 100), RING)
FIRST, SECOND = SEALED[HEADER : HEADER + BLOCK], SEALED[HEADER + BLOCK : HEADER + 2 * BLOCK]


DAMAGES = {
    "last byte lost": (SEALED[:-1], "chunk 4"),
    "cut between chunks": (SEALED[: HEADER + 2 * BLOCK], "chunk 2"),
    "cut within a chunk": (SEALED[: HEADER + 2 * BLOCK + 7], "chunk 3"),
    "header alone": (SEALED[:HEADER], "chunk 1"),
    "header cut": (SEALED[: HEADER - 1], "header"),
    "a byte more": (SEALED + b"\0", "chunk 4"),
    "a chunk more": (SEALED + FIRST, "chunk 4"),
    "chunks exchanged": (
        SEALED[:HEADER] + SECOND + FIRST + SEALED[HEADER + 2 * BLOCK :],
        "chunk 1",
    ),
    "first chunk lost": (SEALED[:HEADER] + SEALED[HEADER + BLOCK :], "chunk 1"),
    "a byte changed": (
        SEALED[: HEADER + 5] + bytes([SEALED[HEADER + 5] ^ 1]) + SEALED[HEADER + 6 :],
        "chunk 1",
    ),
    "salt changed": (SEALED[:20] + bytes([SEALED[20] ^ 1]) + SEALED[21:], "chunk 1"),
    "other chunk size": (SEALED[:48] + (CHUNK + 1).to_bytes(4, "big") + SEALED[52:], "chunk 1"),
    "huge chunk size": (SEALED[:48] + b"\xff\xff\xff\xff" + SEALED[52:], "header"),
    "no chunk size": (SEALED[:48] + b"\0\0\0\0" + SEALED[52:], "header"),
    "another file": (b"nothing of ours" * 9, "header"),
}


@pytest.mark.parametrize(("damaged", "where"), DAMAGES.values(), ids=DAMAGES)
def test_whatever_was_changed_is_noticed(damaged: bytes, where: str) -> None:
    with pytest.raises(StoreError, match=f"archive.jsonl is not what was encrypted.*{where}"):
        decrypt_bytes(damaged, RING, "archive.jsonl")


def test_chunks_of_another_file_under_the_same_key_are_refused() -> None:
    twin = encrypt_bytes(bytes(3 * CHUNK + 100), RING)
    with pytest.raises(StoreError, match="chunk 1"):
        decrypt_bytes(SEALED[:HEADER] + twin[HEADER:], RING, "it")


def test_what_an_error_cut_short_never_reads_as_whole() -> None:
    target = io.BytesIO()
    with suppress(ZeroDivisionError), encrypting(target, RING) as stream:
        stream.write(b"x" * (2 * CHUNK + 1))
        _ = 1 / 0
    with pytest.raises(StoreError, match="not what was encrypted"):
        decrypt_bytes(target.getvalue(), RING, "it")


def test_a_wrong_key_and_no_key_are_told_apart_by_their_ids() -> None:
    needed = RING.keys[0].key_id
    with pytest.raises(KeyMissing, match=f"the key {needed}, and RAGDIAG_KEY has another"):
        decrypt_bytes(SEALED, OTHER, "it")
    with pytest.raises(KeyMissing, match=f"the key {needed}, and RAGDIAG_KEY holds none"):
        decrypt_bytes(SEALED, NONE, "it")
    with pytest.raises(KeyMissing, match="RAGDIAG_KEY holds no key"):
        encrypt_bytes(b"x", NONE)


def test_a_new_key_in_front_encrypts_and_the_old_one_still_reads() -> None:
    both = Keyring("RAGDIAG_KEY", OTHER.keys + RING.keys)
    assert decrypt_bytes(SEALED, both, "it") == bytes(3 * CHUNK + 100)
    assert decrypt_bytes(encrypt_bytes(b"x", both), OTHER, "it") == b"x"


def test_files_tell_whether_they_are_encrypted_and_with_what(tmp_path: Path) -> None:
    plain, sealed = tmp_path / "plain", tmp_path / "sealed"
    plain.write_bytes(b"text")
    sealed.write_bytes(encrypt_bytes(b"text", RING))
    assert [is_encrypted(plain), is_encrypted(sealed)] == [False, True]
    assert key_id_of(sealed) == RING.keys[0].key_id
    for path in (plain, sealed):
        with open_decrypted(path, RING) as stream:
            assert stream.read() == b"text"
    with open_decrypted(plain, NONE) as stream:
        assert stream.read() == b"text"
    with pytest.raises(KeyMissing, match=str(sealed)):
        open_decrypted(sealed, NONE)


def test_keys_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOME_KEY", raising=False)
    assert read_keyring("SOME_KEY").keys == ()
    first, second = new_key(), new_key()
    urlsafe = base64.urlsafe_b64encode(base64.b64decode(second)).decode()
    monkeypatch.setenv("SOME_KEY", f" {first},\n{urlsafe} ")
    ring = read_keyring("SOME_KEY")
    assert [key.secret for key in ring.keys] == [base64.b64decode(k) for k in (first, second)]
    assert base64.b64decode(first) not in repr(ring).encode()


@pytest.mark.parametrize("bad", ["short", "!" * 44, "QUJD"])
def test_what_is_no_key_is_named_and_not_shown(bad: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", f"{new_key()} {bad}")
    with pytest.raises(InputError, match="key 2 in SOME_KEY is not 32 bytes") as caught:
        read_keyring("SOME_KEY")
    assert bad not in str(caught.value)


def test_what_is_not_to_be_encrypted_needs_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOME_KEY", raising=False)
    privacy = PrivacyTable(encrypt=("archive",), encryption_key_env="SOME_KEY")
    assert keyring_for(privacy, "backups") is None
    with pytest.raises(KeyMissing, match="SOME_KEY holds no key"):
        keyring_for(privacy, "archive")
    monkeypatch.setenv("SOME_KEY", new_key())
    assert keyring_for(privacy, "archive") == read_keyring("SOME_KEY")
