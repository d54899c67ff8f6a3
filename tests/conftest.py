"""Fixtures for the whole tree: temporary workspaces, the real data where it is present."""

from __future__ import annotations

import gc
import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

# Before any library reads it: two test processes share the cores, and threads that wait for one
# another made training a product quantiser eight times slower.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell starts what runs in its background deaf to Ctrl-C, and the commands that tests stop by it
# would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

from ragdiag.settings import PROJECT, Workspace
from ragdiag.store.catalogs.extensions import SETTINGS
from ragdiag.store.lake import Lake, close_lakes, open_lake
from tests.built_demo import small_demo as small_demo
from tests.faulty_server import faulty_server as faulty_server
from tests.servers import ENVIRONMENT, ObjectStore, Postgres
from tests.taught import language_base as language_base
from tests.taught import taught_language as taught_language
from tests.taught import taught_reader as taught_reader
from tests.toy_lake import toy_lake as toy_lake
from tests.toy_lake import toy_workspace as toy_workspace

TAKES_LONG = {
    "small_demo": "demo",
    "demo_workspace_path": "demo",
    "postgres": "servers",
    "object_store": "servers",
    "model_server": "model server",
    "toy_workspace": "pages",
    "story": "story",
    "drawn": "drawn",
    "lived_in": "lived in",
    "guarded": "guarded",
    "house": "house",
    "shop": "shop",
    "tiny_model": "tiny model",
    "milvus": "milvus",
    "language_base": "language",
    "taught_language": "language",
    "taught_reader": "reader",
}
"""Fixture that many tests share → the group of tests that run in one process, to make it once."""

FOR_MANY_ROWS = (
    "join_order,statistics_propagation,compressed_materialization,common_subplan,cte_inlining"
)
"""Steps of DuckDB's optimizer that cost more than they spare where a table has a dozen rows."""

OURS = "tests"
"""Where fixtures are declared whose making takes time; those of plugins take none."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow tests run last, so that a quick failure shows quickly. First of these hooks, since the
    one that sends groups to processes must find them marked."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is not None)
    for item in items:
        assert isinstance(item, pytest.Function | pytest.DoctestItem)
        if item.get_closest_marker("xdist_group") is not None:
            continue
        shared = [TAKES_LONG[name] for name in item.fixturenames if name in TAKES_LONG]
        if not shared and has_module_fixture(item):
            shared = [item.nodeid.partition("::")[0]]
        if shared:
            item.add_marker(pytest.mark.xdist_group(shared[0]))


def pytest_collection_finish() -> None:
    """Thousands of tests and the libraries they import stay until the end: the collector need not
    look at them again and again."""
    gc.collect()
    gc.freeze()


def has_module_fixture(item: pytest.Function | pytest.DoctestItem) -> bool:
    """Whether two processes that share the module of ``item`` would make a fixture twice."""
    known = item._fixtureinfo.name2fixturedefs
    last = (known[name][-1] for name in item.fixturenames if name in known)
    return any(one.scope == "module" and one.baseid.startswith(OURS) for one in last)


@pytest.fixture(scope="session", autouse=True)
def _small_lakes_open_fast() -> Iterator[None]:
    """Checking who signed the extensions takes a fifth of a second, and there are a thousand lakes
    in a run. Two tests run at once, and rows by the dozen are read faster by one thread and after
    less planning. Processes that tests start do as they do anywhere."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setitem(SETTINGS, "allow_unsigned_extensions", True)
        patched.setitem(SETTINGS, "threads", 1)
        patched.setitem(SETTINGS, "disabled_optimizers", FOR_MANY_ROWS)
        yield


@pytest.fixture(scope="module")
def planned_as_anywhere(_small_lakes_open_fast: None) -> Iterator[None]:
    """DuckDB's optimizer leaves out nothing in lakes that a test of this module opens."""
    with pytest.MonkeyPatch.context() as patched:
        patched.delitem(SETTINGS, "disabled_optimizers")
        yield


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "workspace")


@pytest.fixture(scope="session")
def empty_workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """One that holds nothing; to be copied, never opened."""
    workspace = Workspace(tmp_path_factory.mktemp("empty") / "workspace")
    open_lake(workspace, create=True)
    close_lakes()
    return workspace


@pytest.fixture
def copied(workspace: Workspace) -> Iterator[Callable[[Workspace], Lake]]:
    """``copied(made)`` opens a copy of a workspace that was made once for many tests."""

    def copy(made: Workspace) -> Lake:
        shutil.copytree(made.root, workspace.root)
        return open_lake(workspace)

    yield copy
    close_lakes()


@pytest.fixture
def lake(copied: Callable[[Workspace], Lake], empty_workspace: Workspace) -> Lake:
    """An empty lake: a copy of one, since creating its tables takes most of a second."""
    return copied(empty_workspace)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 3 MB, where this user may mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this user may not mount a small file system")
    yield folder
    close_lakes()
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real public data: the folder named by RAGDIAG_TEST_DATA, else ../shared/data."""
    folder = Path(os.environ.get("RAGDIAG_TEST_DATA", PROJECT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no test data at {folder}; name it with RAGDIAG_TEST_DATA")
    return folder


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A real server; its folder is not below pytest's, which other users may not enter."""
    folder = Path(tempfile.mkdtemp(prefix="ragdiag-postgres-"))
    folder.chmod(0o755)
    server = Postgres(folder / "server")
    try:
        server.create()
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def object_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """A real server with one empty bucket, ``lake``."""
    store = ObjectStore(tmp_path_factory.mktemp("s3"))
    store.start()
    try:
        store.create_bucket("lake")
        yield store
    finally:
        store.stop()


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the servers want to see, in the environment of this process and those it starts."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)


TOY_PASSAGES = {
    "cats": "Cats sleep about fifteen hours a day. They are most active at dawn and at dusk.",
    "dogs": "Dogs were tamed from wolves. Their sense of smell is far better than that of people.",
    "tea": "Green tea is brewed at eighty degrees. Boiling water makes it bitter.",
    "coffee": "Espresso is made at nine bars of pressure. A shot takes about thirty seconds.",
    "moon": "The Moon circles the Earth in twenty-seven days. It always shows the same side.",
    "mars": "A day on Mars lasts a little longer than a day on Earth. Its soil is red with rust.",
    "bread": "Sourdough rises with wild yeast. The dough rests for twelve hours before baking.",
    "glass": "Glass is made of sand, soda and lime. It softens near six hundred degrees.",
}
TOY_QUESTIONS = {
    "q-cats": ("How long do cats sleep?", "cats", "fifteen hours a day"),
    "q-tea": ("How hot is the water for green tea?", "tea", "eighty degrees"),
    "q-coffee": ("How much pressure does espresso need?", "coffee", "nine bars"),
    "q-moon": ("How long does the Moon take around the Earth?", "moon", "twenty-seven days"),
    "q-bread": ("What makes sourdough rise?", "bread", "wild yeast"),
    "q-glass": ("What is glass made of?", "glass", "sand, soda and lime"),
}


@pytest.fixture
def toy_beir(tmp_path: Path) -> Path:
    """A BEIR folder of eight passages and six questions, all in the split ``test``."""
    folder = tmp_path / "toy"
    (folder / "qrels").mkdir(parents=True)
    write_lines(
        folder / "corpus.jsonl",
        [{"_id": key, "title": "", "text": text} for key, text in TOY_PASSAGES.items()],
    )
    write_lines(
        folder / "queries.jsonl",
        [{"_id": key, "text": text} for key, (text, _, _) in TOY_QUESTIONS.items()],
    )
    write_lines(
        folder / "answers.jsonl",
        [{"query_id": key, "answers": [a]} for key, (_, _, a) in TOY_QUESTIONS.items()],
    )
    judged = "".join(f"{key}\t{gold}\t1\n" for key, (_, gold, _) in TOY_QUESTIONS.items())
    (folder / "qrels" / "test.tsv").write_text(f"query-id\tcorpus-id\tscore\n{judged}")
    return folder


def write_lines(path: Path, rows: list[dict[str, object]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
