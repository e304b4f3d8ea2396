"""kubectl's columns."""

import pytest

from crlab.model.printer import (
    age,
    columns_for,
    crd_columns,
    human_duration,
    table_cells,
)

DAY = 86400


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-2, "<invalid>"),
        (-1, "0s"),
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (206, "3m26s"),
        (600, "10m"),
        (3 * 3600, "3h"),
        (3660 * 4, "4h4m"),
        (9 * 3600, "9h"),
        (2 * DAY, "2d"),
        (2 * DAY + 3600, "2d1h"),
        (9 * DAY, "9d"),
        (800 * DAY, "2y70d"),
        (3650 * DAY, "10y"),
    ],
)
def test_ages_read_as_kubectl_writes_them(seconds, text):
    """Fewer units the older it is."""
    assert human_duration(seconds) == text


def test_ages_of_odd_times():
    """No time, no time at all, and one without an offset."""
    assert age(None, 0) == "<unknown>"
    assert age("tomorrow", 0) == "<invalid>"
    assert age("1970-01-01T00:00:00", 5) == "5s"


def cells(group, kind, obj, now=100.0):
    columns = columns_for(group, kind)
    return dict(zip([c.name for c in columns], table_cells(columns, obj, now), strict=True))


def pod(status, *, spec=None, metadata=None):
    return {"metadata": {"name": "p", **(metadata or {})}, "spec": spec or {}, "status": status}


@pytest.mark.parametrize(
    ("obj", "status"),
    [
        (pod({"phase": "Pending"}), "Pending"),
        (pod({"phase": "Failed", "reason": "Evicted"}), "Evicted"),
        (
            pod({"containerStatuses": [{"state": {"waiting": {"reason": "CrashLoopBackOff"}}}]}),
            "CrashLoopBackOff",
        ),
        (pod({"containerStatuses": [{"state": {"terminated": {"exitCode": 3}}}]}), "ExitCode:3"),
        (pod({"containerStatuses": [{"state": {"terminated": {"signal": 9}}}]}), "Signal:9"),
        (pod({"phase": "Running"}, metadata={"deletionTimestamp": "x"}), "Terminating"),
        (pod({"phase": "Succeeded"}, metadata={"deletionTimestamp": "x"}), "Succeeded"),
        (
            pod(
                {"phase": "Pending", "initContainerStatuses": [{"state": {"running": {}}}]},
                spec={"initContainers": [{"name": "i"}, {"name": "j"}]},
            ),
            "Init:0/2",
        ),
    ],
)
def test_a_pods_status_is_kubectls_word(obj, status):
    """printPod, case by case."""
    assert cells("", "Pod", obj)["Status"] == status


def test_restarts_say_when():
    """The last one, if the container says when it ended."""
    ended = {"terminated": {"finishedAt": "1970-01-01T00:01:00Z"}}
    obj = pod({"containerStatuses": [{"restartCount": 2, "lastState": ended}]})
    assert cells("", "Pod", obj)["Restarts"] == "2 (40s ago)"


def test_the_recorded_event_row_of_a_real_server():
    """tests/contract/…/events-table.json."""
    event = {
        "metadata": {"name": "e"},
        "type": "Normal",
        "reason": "Boo",
        "involvedObject": {"kind": "Widget", "name": "a"},
        "source": {"component": "me", "host": "h"},
        "message": "hi",
        "count": 1,
    }
    row = list(cells("", "Event", event).values())
    assert row == ["<unknown>", "Normal", "Boo", "widget/a", "", "me, h", "hi", "<unknown>", 1, "e"]


def test_services_and_deployments():
    """As the recorded kubectl sessions show them."""
    svc = {"spec": {"type": "ClusterIP", "clusterIPs": ["None"], "ports": [{"port": 80}]}}
    assert cells("", "Service", svc)["Port(s)"] == "80/TCP"
    assert cells("", "Service", svc)["Cluster-IP"] == "None"
    assert cells("", "Service", svc)["External-IP"] == "<none>"
    assert cells("apps", "Deployment", {"spec": {"replicas": 3}})["Ready"] == "0/3"


def test_a_custom_resource_shows_its_columns_or_name_and_age():
    """A value of the wrong type is null, as the server sends it."""
    columns = crd_columns(
        [
            {"name": "Size", "type": "integer", "jsonPath": ".spec.size"},
            {"name": "On", "type": "boolean", "jsonPath": ".spec.on"},
            {"name": "Bad", "type": "string", "jsonPath": ".spec["},
            {"name": "Made", "type": "date", "jsonPath": ".spec.made"},
        ]
    )
    obj = {
        "metadata": {"name": "a"},
        "spec": {"size": "3", "on": True, "made": "1970-01-01T00:00:00Z"},
    }
    assert table_cells(columns, obj, 9.0) == ["a", None, True, None, "9s"]
    assert [c.name for c in crd_columns(None)] == ["Name", "Age"]


def test_every_kinds_columns_survive_an_empty_object():
    """No cell function raises on what is missing or of the wrong type."""
    from crlab.model.printer_builtin import BUILTIN

    for columns in BUILTIN.values():
        for obj in ({}, {"metadata": [], "spec": "x", "status": 3}, {"spec": {"ports": [1]}}):
            assert len(table_cells(columns, obj, 0.0)) == len(columns)
            assert [column.value(obj) for column in columns]


@pytest.mark.parametrize(
    ("group", "kind", "obj", "expected"),
    [
        (
            "autoscaling",
            "HorizontalPodAutoscaler",
            {
                "spec": {
                    "scaleTargetRef": {"kind": "Deployment", "name": "web"},
                    "maxReplicas": 5,
                    "metrics": [
                        {
                            "type": "Resource",
                            "resource": {"name": "cpu", "target": {"averageUtilization": 80}},
                        }
                    ],
                }
            },
            ["Deployment/web", "cpu: <unknown>/80%", "<unset>", "5", "0"],
        ),
        (
            "policy",
            "PodDisruptionBudget",
            {"spec": {"minAvailable": 1}, "status": {"disruptionsAllowed": 2}},
            ["1", "N/A", 2],
        ),
        (
            "networking.k8s.io",
            "NetworkPolicy",
            {"spec": {"podSelector": {"matchLabels": {"a": "b"}}}},
            ["a=b"],
        ),
        (
            "networking.k8s.io",
            "IngressClass",
            {"spec": {"controller": "c.io/x", "parameters": {"kind": "P", "name": "p"}}},
            ["c.io/x", "P/p"],
        ),
        ("apps", "ControllerRevision", {"revision": 3}, ["<none>", 3]),
    ],
)
def test_rarer_kinds_have_their_columns(group, kind, obj, expected):
    """Between name and age."""
    found = list(cells(group, kind, {"metadata": {"name": "x"}, **obj}).values())
    assert found == ["x", *expected, "<unknown>"]


def test_a_default_storage_class_says_so():
    """In its name; what is not stated is the default."""
    annotations = {"storageclass.kubernetes.io/is-default-class": "true"}
    obj = {"metadata": {"name": "fast", "annotations": annotations}, "provisioner": "x.io/y"}
    found = list(cells("storage.k8s.io", "StorageClass", obj).values())
    assert found == ["fast (default)", "x.io/y", "Delete", "Immediate", "false", "<unknown>"]


def test_a_quota_shows_used_of_hard():
    """Requests and limits apart."""
    status = {"hard": {"pods": "5", "limits.cpu": "2"}, "used": {"pods": "1"}}
    found = cells("", "ResourceQuota", {"metadata": {"name": "q"}, "status": status})
    assert (found["Request"], found["Limit"]) == ("pods: 1/5", "limits.cpu: 0/2")
