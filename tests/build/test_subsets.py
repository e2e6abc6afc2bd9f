"""A wheel of any subset of the features is what it says it is."""

import itertools
from pathlib import Path

import pytest

from scripts import subsets
from scripts.import_graph import TARGET, graph, read, text
from tests.system.daemon import PROJECT

FEATURES = subsets.table()
ALLOWED = subsets.subsets(FEATURES)
SAMPLE = subsets.sample(ALLOWED, list(FEATURES))


def test_only_what_requires_allows_is_built() -> None:
    assert len(ALLOWED) == len(set(ALLOWED))
    assert frozenset() in ALLOWED
    assert frozenset(FEATURES) in ALLOWED
    assert frozenset({"status"}) not in ALLOWED
    assert frozenset({"status", "peers"}) in ALLOWED


def test_the_sample_shows_each_pair_of_features_in_all_ways() -> None:
    for a, b in itertools.combinations(FEATURES, 2):
        ways = {(a in one, b in one) for one in ALLOWED}
        assert {(a in one, b in one) for one in SAMPLE} == ways


def test_the_graph_is_read_as_it_was_written() -> None:
    found = graph(PROJECT, ["pimd", "features/pimd_features"])
    assert read(text(found)) == found
    assert found["pimd_features.logs"] == ["pimd.contract"]
    assert "aiohttp" in found["pimd.rpc"]
    assert TARGET.read_text() == text(found)


@pytest.mark.slow
@pytest.mark.parametrize("chosen", SAMPLE, ids=lambda one: "-".join(sorted(one)) or "none")
def test_a_subset_is_what_it_says(chosen: subsets.Subset) -> None:
    assert subsets.faults(chosen) == []


@pytest.mark.slow
def test_what_a_subset_lacks_or_has_too_much_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "graph.txt"
    other.write_text(TARGET.read_text().replace("pimd_features.logs: pimd.contract", "pimd_features.logs: pimd.rpc"))
    monkeypatch.setattr(subsets, "TARGET", other)
    monkeypatch.setattr(subsets, "STAMP", "pimd/_nowhere.json")
    monkeypatch.setattr(subsets, "OFF", "logs")
    found = "\n".join(subsets.faults(frozenset({"logs"})))
    assert "the file pimd/_build_features.json is there" in found
    assert "the file pimd/_nowhere.json is missing" in found
    assert "pimd_features.logs imports ['pimd.contract'], and docs/import_graph.txt says ['pimd.rpc']" in found
    assert "its methods differ from docs/openrpc.json in ['logs" in found
    assert "features.list says {" in found
