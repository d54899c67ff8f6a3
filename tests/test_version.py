"""Specs are validated to the last key, and a version is its spec."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragdiag.errors import SpecError
from ragdiag.version import Version, parse_spec, read_spec

HYBRID = """
[embedder]
[lexical]
[fusion]
kind = "convex"
alpha = 0.7
[generator]
kind = "extractive"
"""

MILVUS = """
[generator]
kind = "extractive"
[embedder]
[ann]
engine = "milvus"
uri = "a.db"
"""


def test_the_id_is_the_hash_of_the_spec_whatever_its_name_or_layout() -> None:
    one = Version("one", parse_spec(HYBRID, source="one"))
    written_out = HYBRID.replace("alpha = 0.7", "normalisation = 'bounds'\nalpha = 0.70")
    other = Version("other", parse_spec(written_out, source="other"))
    changed = Version("one", parse_spec(HYBRID.replace("0.7", "0.6"), source="changed"))
    assert one.version_id == other.version_id
    assert one.version_id != changed.version_id
    cached = Version("one", parse_spec(HYBRID + "[cache]\nttl_s = 60", source="cached"))
    assert cached.version_id != one.version_id
    assert cached.spec.index_key == one.spec.index_key


def test_a_setting_added_later_leaves_ids_alone() -> None:
    reranked = "[lexical]\n[reranker]\nmodel='m'\nslope=2.0\n[generator]\nkind='extractive'"
    known = "b63d5daafb7f"  # before [reranker] had a weight
    assert Version("v", parse_spec(reranked, source="v")).version_id == known
    weighed = reranked.replace("slope=2.0", "slope=2.0\nweight=0.5")
    assert Version("v", parse_spec(weighed, source="v")).version_id != known


def test_a_cross_encoder_has_no_adapter_of_its_own() -> None:
    adapted = "[lexical]\n[reranker]\nmodel='m'\nadapter='a'\n[generator]\nkind='extractive'"
    with pytest.raises(SpecError, match="adapters are for kind"):
        parse_spec(adapted, source="v")
    late = adapted.replace("adapter", "kind='late_interaction'\nadapter")
    assert Version("v", parse_spec(late, source="v")).spec.reranker is not None


def test_versions_that_differ_after_the_index_share_a_build() -> None:
    spec = parse_spec(HYBRID, source="a")
    other_fusion = parse_spec(HYBRID.replace("0.7", "0.2"), source="b")
    other_index = parse_spec(
        HYBRID.replace("[lexical]", "[ann]\nkind='hnsw'\n[lexical]"), source="c"
    )
    assert spec.index_key == other_fusion.index_key
    assert spec.index_key != other_index.index_key


def test_how_milvus_is_asked_changes_no_index() -> None:
    asked = MILVUS + "shard_by = 'topic'\n"
    key = parse_spec(asked, source="a").index_key
    for search in ("search_shards = 2", "token_env = 'TOKEN'", "timeout_s = 1"):
        assert parse_spec(asked + search, source="b").index_key == key
    for other in (asked.replace("a.db", "b.db"), MILVUS, asked.replace("topic", "time")):
        assert parse_spec(other, source="c").index_key != key


@pytest.mark.parametrize(
    ("spec", "culprit"),
    [
        ("[generator]\nkind = 'extractive'", "neither [embedder] nor [lexical]"),
        ("[lexical]\n", "generator"),
        ("[lexical]\nengin = 'bm25s'\n[generator]\nkind = 'extractive'", "lexical.engin"),
        ("[lexical]\n[fusion]\nalpha = 2\n[generator]\nkind = 'extractive'", "fusion.alpha"),
        ("[lexical]\n[generator]\nkind = 'magic'", "generator"),
        ("[lexical]\n[cache]\nkind='semantic'\n[generator]\nkind='extractive'", "needs [embedder]"),
        ("[lexical", "not TOML"),
        (MILVUS.replace("uri", "nprobe = 3 #"), "uri belongs to engine"),
        ("[embedder]\n[ann]\nuri = 'a.db'\n[generator]\nkind = 'extractive'", "uri belongs to"),
        (MILVUS + "kind = 'rabitq'", "one of auto, flat, hnsw, hnsw_sq8, ivf_flat"),
        ("[embedder]\n[ann]\nkind = 'ivf_flat'\n[generator]\nkind = 'extractive'", "ivf_flat"),
        (MILVUS.replace("a.db", "http://root:secret@host:19530"), "token_env"),
        (MILVUS.replace("a.db", "ftp://host"), "uri is http"),
        (MILVUS.replace("a.db", "a.sqlite"), "ends with .db"),
        (MILVUS + "[fusion]\nkind = 'convex'\nnormalisation = 'minmax'", '"minmax" asks'),
        (MILVUS + "search_shards = 2", "search_shards needs shard_by"),
    ],
)
def test_a_wrong_spec_names_its_key_in_one_line(spec: str, culprit: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_spec(spec, source="v.toml")
    message = str(caught.value)
    assert culprit in message
    assert "v.toml" in message
    assert "\n" not in message


def test_a_spec_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"none\.toml"):
        read_spec(tmp_path / "none.toml")


def test_a_saved_version_keeps_its_id_whatever_the_defaults_are_now() -> None:
    spec = parse_spec(HYBRID, source="saved")
    assert Version.saved("one", spec, "saved-id").version_id == "saved-id"


def test_a_generator_in_this_process_is_named_by_its_folder() -> None:
    own = parse_spec(
        "[lexical]\n[generator]\nkind='transformers'\nmodel='m'\nadapter='a'", source="own"
    )
    assert own.generator.model_dump(exclude_defaults=True) == {
        "kind": "transformers",
        "model": "m",
        "adapter": "a",
    }
    reader = parse_spec("[lexical]\n[generator]\nkind='reader'\nmodel='m'", source="reader")
    assert reader.generator.kind == "reader"
    for wrong in ("kind='reader'", "kind='transformers'\nmodel='m'\ndevice='tpu'"):
        with pytest.raises(SpecError, match=r"generator\.(reader|transformers)\."):
            parse_spec(f"[lexical]\n[generator]\n{wrong}", source="wrong")
