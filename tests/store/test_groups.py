"""Groups keep the order of entry, whoever leaves from wherever."""

from hypothesis import given
from hypothesis import strategies as st

from pimd.store.groups import Groups

CHANGES = st.lists(st.tuples(st.sampled_from(["a", "b", None]), st.integers(0, 6)))


@given(CHANGES)
def test_they_hold_what_lists_would(changes: list[tuple[str | None, int]]) -> None:
    groups: Groups[str, int] = Groups()
    lists: dict[str, list[int]] = {}
    for group, member in changes:
        lists = {name: left for name, ids in lists.items() if (left := [one for one in ids if one != member])}
        if group is None:
            groups.remove(member)
        else:
            groups.put(group, member)
            lists.setdefault(group, []).append(member)
        assert groups.group_of == {one: name for name, ids in lists.items() for one in ids}
        for name in ("a", "b"):
            assert (name in groups) is (name in lists)
            assert groups.size(name) == len(lists.get(name, []))
            assert list(groups.members(name)) == lists.get(name, [])
        assert [groups.first(name) for name in lists] == [ids[0] for ids in lists.values()]
    for member in range(7):
        groups.remove(member)
    assert not any(vars(groups).values())
