"""Strategic merge patch on core kinds."""

import pytest

from crlab.apiserver.patch import strategic
from crlab.apiserver.patch.builtin_schema import for_kind
from crlab.apiserver.status import StatusError

POD = for_kind("v1", "Pod")
DEPLOYMENT = for_kind("apps/v1", "Deployment")
CONFIG_MAP = for_kind("v1", "ConfigMap")
CONTAINERS = [{"name": "one", "image": "i:1"}, {"name": "two", "image": "i:2"}]


def containers(patch, live=CONTAINERS):
    result = strategic.apply({"spec": {"containers": live}}, {"spec": patch}, POD)
    return result["spec"].get("containers")


def names(patch, live=CONTAINERS):
    return [container["name"] for container in containers(patch, live)]


def test_a_named_item_is_merged_and_keeps_its_place():
    """Containers merge by name."""
    assert containers({"containers": [{"name": "two", "image": "i:9"}]}) == [
        {"name": "one", "image": "i:1"},
        {"name": "two", "image": "i:9"},
    ]


def test_a_new_item_comes_before_the_others():
    """What the patch names and the server does not know stands first."""
    assert names({"containers": [{"name": "three"}]}) == ["three", "one", "two"]


def test_set_element_order_decides():
    """The directive orders what it names, also without a list in the patch."""
    order = [{"name": "two"}, {"name": "one"}]
    assert names({"$setElementOrder/containers": order, "containers": [{"name": "one"}]}) == [
        "two",
        "one",
    ]
    assert names({"$setElementOrder/containers": order}) == ["two", "one"]


def test_items_can_be_deleted_and_lists_replaced():
    """The $patch directive inside a list."""
    assert names({"containers": [{"name": "one", "$patch": "delete"}]}) == ["two"]
    assert names({"containers": [{"$patch": "replace"}, {"name": "x"}]}) == ["x"]


def test_a_list_without_merge_strategy_is_replaced():
    """command and tolerations are atomic."""
    live = {"spec": {"tolerations": [{"key": "a"}]}}
    result = strategic.apply(live, {"spec": {"tolerations": [{"key": "b"}]}}, POD)
    assert result["spec"]["tolerations"] == [{"key": "b"}]


def test_retain_keys_drops_what_is_not_named():
    """kubectl sends it when a strategy changes its type."""
    live = {"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}}
    patch = {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}
    assert strategic.apply(live, patch, DEPLOYMENT)["spec"]["strategy"] == {"type": "Recreate"}


def test_primitive_lists_merge_and_lose_items_by_directive():
    """metadata.finalizers is a set: patch first, then the rest."""
    live = {"metadata": {"finalizers": ["a", "b"]}}
    merged = strategic.apply(live, {"metadata": {"finalizers": ["c", "a"]}}, CONFIG_MAP)
    assert merged["metadata"]["finalizers"] == ["c", "a", "b"]
    patch = {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a", "c", "b"]}}
    assert "finalizers" not in strategic.apply(merged, patch, CONFIG_MAP)["metadata"]


def test_maps_can_be_replaced_and_deleted():
    """The $patch directive in a map; nulls delete keys."""
    live = {"data": {"a": "1", "b": "2"}}
    replaced = strategic.apply(live, {"data": {"$patch": "replace", "z": "9"}}, CONFIG_MAP)
    assert replaced == {"data": {"z": "9"}}
    assert strategic.apply(live, {"data": {"$patch": "delete"}}, CONFIG_MAP) == {}
    assert strategic.apply(live, {"data": {"a": None}}, CONFIG_MAP) == {"data": {"b": "2"}}


@pytest.mark.parametrize(
    ("patch", "code", "text"),
    [
        ([], 400, "cannot unmarshal array"),
        (
            {"data": {"a": 1}},
            422,
            'Invalid value: "map\\[data:map\\[a:1\\]\\]": cannot convert int64 to string',
        ),
        ({"data": {"$patch": "frob"}}, 500, "unknown patch type frob"),
        (
            {"metadata": {"ownerReferences": [{"name": "x"}]}},
            500,
            "does not contain declared merge key: uid",
        ),
        (
            {"metadata": {"$deleteFromPrimitiveList/finalizers": "a"}},
            400,
            "invalid patch format of primitive list",
        ),
    ],
)
def test_a_bad_patch_is_refused_with_the_servers_words(patch, code, text):
    """Each kind of mistake has its own code."""
    with pytest.raises(StatusError, match=text) as caught:
        strategic.apply({"data": {"a": "x"}}, patch, CONFIG_MAP)
    assert caught.value.code == code


def test_the_document_given_stays_as_it_was():
    """Also where lists are merged deep down."""
    live = {"spec": {"containers": [{"name": "one", "env": [{"name": "A", "value": "1"}]}]}}
    patch = {"spec": {"containers": [{"name": "one", "env": [{"name": "A", "value": "2"}]}]}}
    result = strategic.apply(live, patch, POD)
    assert live["spec"]["containers"][0]["env"] == [{"name": "A", "value": "1"}]
    assert result["spec"]["containers"][0]["env"] == [{"name": "A", "value": "2"}]


def test_long_lists_are_merged_in_linear_time():
    """Six thousand items; the square of that would be noticed."""
    names = [f"x.dev/{index}" for index in range(6_000)]
    live = {"metadata": {"finalizers": names[:3_000]}}
    merged = strategic.apply(live, {"metadata": {"finalizers": names[1_500:]}}, CONFIG_MAP)
    assert merged["metadata"]["finalizers"] == names
