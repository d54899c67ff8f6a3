from __future__ import annotations

from pathlib import Path

import pytest

from ragdiag.errors import StoreError
from ragdiag.settings import Workspace
from ragdiag.store.catalogs import extensions
from ragdiag.store.catalogs.extensions import EXTENSIONS, connect, extension_file


def test_every_extension_is_loaded_and_nothing_is_fetched(workspace: Workspace) -> None:
    with connect(workspace) as connection:
        loaded = connection.execute(
            "select extension_name from duckdb_extensions() where loaded"
        ).fetchall()
        assert {(name,) for name in EXTENSIONS} <= set(loaded)
        for setting in ("autoinstall_known_extensions", "autoload_known_extensions"):
            assert connection.execute("select current_setting(?)", [setting]).fetchone() == (False,)


def test_a_missing_package_is_named(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extensions, "EXTENSIONS", ("ducklake", "nonesuch"))
    with pytest.raises(StoreError, match=r"nonesuch is not installed; .*requirements\.txt"):
        connect(workspace)


def test_a_package_for_another_duckdb_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extensions.duckdb, "__version__", "9.9.9")
    with pytest.raises(StoreError, match=r"ducklake is not there for DuckDB v9\.9\.9"):
        extension_file("ducklake")


def test_a_tampered_binary_is_refused(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    binary = bytearray(extension_file("sqlite_scanner").read_bytes())
    binary[len(binary) // 2] ^= 1
    tampered = tmp_path / "sqlite_scanner.duckdb_extension"
    tampered.write_bytes(binary)
    monkeypatch.setattr(extensions, "extension_file", lambda _: tampered)
    monkeypatch.delitem(extensions.SETTINGS, "allow_unsigned_extensions")  # tests alone set it
    with pytest.raises(StoreError, match="refuses its extension ducklake"):
        connect(workspace)
