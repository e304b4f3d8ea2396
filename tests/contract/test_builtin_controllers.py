"""Items 138-147: namespaces that go, the garbage collector, and workloads that get ready."""

import pytest
from support.controlled_server import ControlledServer, ref

from crlab.apiserver import HttpRequest
from crlab.errors import ConfigError, LifecycleError, NotFound
from crlab.report.explain import explain

POD = {"containers": [{"name": "c", "image": "i"}], "restartPolicy": "Never"}
JOB = {"metadata": {"name": "j"}, "spec": {"template": {"spec": POD}}}


@pytest.fixture
def server():
    served = ControlledServer()
    yield served
    served.manager.close()
    assert [
        r.error for c in served.manager.controllers.values() for r in c.history if r.error
    ] == []


class TestGarbage:
    def test_142_a_dependent_goes_once_its_owner_is_gone(self, server):
        """Of whatever kind; what is free stays."""
        own = server.config_map("own")
        server.config_map("dep", ref(own))
        server.config_map("free")
        secret = {"metadata": {"name": "dep", "ownerReferences": [ref(own, controller=True)]}}
        server.client.create("secrets", secret)
        server.settle()
        assert server.names("configmaps") == ["dep", "free", "own"]
        server.client.delete("configmaps", "own")
        server.settle()
        assert (server.names("configmaps"), server.names("secrets")) == (["free"], [])

    def test_142_chains_go_to_their_end(self, server):
        """Grandchildren too."""
        one = server.config_map("one")
        two = server.config_map("two", ref(one))
        server.config_map("three", ref(two))
        server.client.delete("configmaps", "one")
        server.settle()
        assert server.names("configmaps") == []

    def test_143_foreground_waits_for_what_blocks(self, server):
        """And only for that."""
        own = server.config_map("own")
        server.config_map("blocks", ref(own, blockOwnerDeletion=True), finalizers=["x.dev/y"])
        server.config_map("lingers", ref(own), finalizers=["x.dev/y"])
        server.client.delete("configmaps", "own", propagation_policy="Foreground")
        server.settle()
        held = server.client.get("configmaps", "own")["metadata"]
        assert held["finalizers"] == ["foregroundDeletion"]
        assert "deletionTimestamp" in server.client.get("configmaps", "blocks")["metadata"]
        server.client.patch("configmaps", "blocks", {"metadata": {"finalizers": None}})
        server.settle()
        assert server.names("configmaps") == ["lingers"]

    def test_143_foreground_goes_down_the_chain(self, server):
        """A dependent with dependents is deleted in the foreground itself."""
        one = server.config_map("one")
        two = server.config_map("two", ref(one, blockOwnerDeletion=True))
        server.config_map("three", ref(two, blockOwnerDeletion=True), finalizers=["x.dev/y"])
        server.client.delete("configmaps", "one", propagation_policy="Foreground")
        server.settle()
        assert server.names("configmaps") == ["one", "three", "two"]
        server.client.patch("configmaps", "three", {"metadata": {"finalizers": None}})
        server.settle()
        assert server.names("configmaps") == []

    def test_144_orphan_lets_dependents_go(self, server):
        """They lose the reference, then the owner goes."""
        own = server.config_map("own")
        server.config_map("dep", ref(own))
        server.settle()
        server.client.delete("configmaps", "own", propagation_policy="Orphan")
        server.settle()
        assert server.names("configmaps") == ["dep"]
        assert "ownerReferences" not in server.client.get("configmaps", "dep")["metadata"]

    def test_144_a_job_leaves_its_pods_unless_told_otherwise(self, server):
        """Of old, and with a warning."""
        server.client.create("jobs.batch", JOB)
        own = server.client.get("jobs.batch", "j")
        server.config_map("dep", ref(own))
        path = "/apis/batch/v1/namespaces/default/jobs/j"
        answer = server.server.handle(HttpRequest("DELETE", path))
        assert dict(answer.headers)["Warning"].startswith(
            '299 - "child pods are preserved by default when jobs are deleted'
        )
        server.settle()
        assert server.names("jobs.batch") == []
        assert server.names("configmaps") == ["dep"]
        server.client.create("jobs.batch", JOB)
        server.config_map("goes", ref(server.client.get("jobs.batch", "j")))
        server.client.delete("jobs.batch", "j", propagation_policy="Background")
        server.settle()
        assert server.names("configmaps") == ["dep"]

    def test_145_one_of_two_owners(self, server):
        """Only the dead reference is dropped."""
        one, two = server.config_map("one"), server.config_map("two")
        server.config_map("dep", ref(one), ref(two))
        server.client.delete("configmaps", "one")
        server.settle()
        owners = server.client.get("configmaps", "dep")["metadata"]["ownerReferences"]
        assert [owner["name"] for owner in owners] == ["two"]

    @pytest.mark.parametrize("uid", ["no-such-uid", "right name, wrong uid"])
    def test_145_a_dangling_owner(self, server, uid):
        """By uid, whatever its name: collected at once."""
        own = server.config_map("own")
        server.config_map("dep", ref(own) | {"uid": uid})
        server.settle()
        assert server.names("configmaps") == ["own"]

    def test_146_an_owner_in_another_namespace_is_absent(self, server):
        """The dependent goes, and an event says why."""
        server.client.create("namespaces", {"metadata": {"name": "other"}})
        own = server.config_map("own", namespace="other")
        server.config_map("dep", ref(own))
        server.settle()
        assert server.names("configmaps") == []
        assert server.names("configmaps", "other") == ["own"]
        (event,) = server.client.list("events", namespace="default")["items"]
        assert (event["reason"], event["type"]) == ("OwnerRefInvalidNamespace", "Warning")

    def test_146_a_cluster_scoped_dependent_of_a_namespaced_owner(self, server):
        """Is left alone."""
        own = server.config_map("own")
        metadata = {"name": "other", "ownerReferences": [ref(own)]}
        server.client.create("namespaces", {"metadata": metadata})
        server.client.delete("configmaps", "own")
        server.settle()
        assert server.client.get("namespaces", "other")["status"]["phase"] == "Active"

    def test_147_the_collector_can_be_left_out(self):
        """As envtest does."""
        server = ControlledServer(groups=("namespace",))
        server.config_map("dep", ref(server.config_map("own")))
        server.client.delete("configmaps", "own")
        server.settle()
        assert server.names("configmaps") == ["dep"]
        server.manager.close()

    def test_a_reference_added_late_counts(self, server):
        """The graph follows updates, in both directions."""
        own = server.config_map("own")
        for name in ("joins", "leaves"):
            server.config_map(name, *([ref(own)] if name == "leaves" else []))
        server.settle()
        patch = {"metadata": {"ownerReferences": [ref(own)]}}
        server.client.patch("configmaps", "joins", patch)
        server.client.patch("configmaps", "leaves", {"metadata": {"ownerReferences": None}})
        server.settle()
        server.client.delete("configmaps", "own")
        server.settle()
        assert server.names("configmaps") == ["leaves"]

    def test_what_was_there_before_the_start_is_known(self):
        """A forked or restored server goes on collecting."""
        server = ControlledServer(groups=())
        own = server.config_map("own")
        server.config_map("dep", ref(own))
        from crlab.controller.builtin import ControllerManager

        manager = ControllerManager(
            server.server.storage,
            server.client,
            driver=server.driver,
            clock=server.clock,
            ids=server.ids,
            trace=server.trace,
        ).start()
        server.client.delete("configmaps", "own")
        server.settle()
        assert server.names("configmaps") == []
        manager.close()


class TestNamespaces:
    def test_140_content_goes_and_then_the_namespace(self, server):
        """Of every namespaced resource."""
        server.client.create("namespaces", {"metadata": {"name": "x"}})
        server.config_map("a", namespace="x")
        server.client.create("secrets", {"metadata": {"name": "b", "namespace": "x"}})
        server.client.delete("namespaces", "x")
        server.settle()
        with pytest.raises(NotFound):
            server.client.get("namespaces", "x")

    def test_140_content_with_finalizers_holds_it_and_says_so(self, server):
        """In five conditions."""
        server.client.create("namespaces", {"metadata": {"name": "x"}})
        server.config_map("a", namespace="x", finalizers=["x.dev/y"])
        server.client.delete("namespaces", "x")
        server.settle()
        status = server.client.get("namespaces", "x")["status"]
        bad = {c["type"]: c["message"] for c in status["conditions"] if c["status"] == "True"}
        assert (status["phase"], len(status["conditions"])) == ("Terminating", 5)
        assert bad == {
            "NamespaceContentRemaining": "Some resources are remaining: "
            "configmaps. has 1 resource instances",
            "NamespaceFinalizersRemaining": "Some content in the namespace has finalizers "
            "remaining: x.dev/y in 1 resource instances",
        }
        patch = {"metadata": {"finalizers": None}}
        server.client.patch("configmaps", "a", patch, namespace="x")
        server.settle()
        with pytest.raises(NotFound):
            server.client.get("namespaces", "x")

    def test_a_namespace_full_of_workloads_goes(self, server):
        """Controllers do not fight over it."""
        server.client.create("namespaces", {"metadata": {"name": "x"}})
        body = server.deployment()
        body["metadata"] = {"name": "web", "namespace": "x"}
        server.client.create("deployments", body)
        server.settle()
        assert len(server.names("pods", "x")) == 3
        server.client.delete("namespaces", "x")
        for _ in range(20):
            server.settle()
            server.clock.advance(5)
        with pytest.raises(NotFound):
            server.client.get("namespaces", "x")


class TestWorkloads:
    def test_a_deployment_becomes_ready(self, server):
        """Deployment → ReplicaSet → Pods → status."""
        server.deployment(replicas=3)
        server.settle()
        found = server.client.get("deployments", "web")
        assert found["metadata"]["generation"] == 1  # its revision is noted by way of status
        status = found["status"]
        assert (status["readyReplicas"], status["updatedReplicas"]) == (3, 3)
        assert {c["type"]: c["status"] for c in status["conditions"]} == {
            "Available": "True",
            "Progressing": "True",
        }
        pods = server.client.list("pods")["items"]
        assert [pod["status"]["phase"] for pod in pods] == ["Running"] * 3
        assert len({pod["status"]["podIP"] for pod in pods}) == 3

    @pytest.mark.parametrize("replicas", [0, 1, 5])
    def test_scaling(self, server, replicas):
        """Up, down and to nothing."""
        server.deployment(replicas=3)
        server.settle()
        server.client.scale("deployments", "web", replicas)
        server.settle()
        assert len(server.names("pods")) == replicas
        status = server.client.get("deployments", "web")["status"]
        assert status.get("readyReplicas", 0) == replicas

    @pytest.mark.parametrize("strategy", ["RollingUpdate", "Recreate"])
    def test_a_new_template_rolls_out(self, server, strategy):
        """The old set ends at 0, the new one has revision 2."""
        server.deployment(replicas=4, strategy={"type": strategy})
        server.settle()
        available = []
        server.server.storage.subscribe(lambda _: available.append(_ready(server)))
        container = {"name": "c", "image": "nginx:2"}
        patch = {"spec": {"template": {"spec": {"containers": [container]}}}}
        server.client.patch("deployments", "web", patch)
        server.settle()
        sets = server.client.list("replicasets")["items"]
        assert sorted(rs["spec"]["replicas"] for rs in sets) == [0, 4]
        deployment = server.client.get("deployments", "web")
        assert deployment["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "2"
        assert deployment["status"]["updatedReplicas"] == 4
        assert min(available) >= (3 if strategy == "RollingUpdate" else 0)

    def test_a_lost_pod_is_replaced(self, server):
        """Level, not edge."""
        server.deployment(replicas=2)
        server.settle()
        before = server.names("pods")
        server.client.delete("pods", before[0])
        server.settle()
        after = server.names("pods")
        assert (len(after), before[0] in after) == (2, False)

    def test_deleting_the_deployment_takes_all_of_it(self, server):
        """By the garbage collector."""
        server.deployment()
        server.settle()
        server.client.delete("deployments", "web")
        server.settle()
        assert (server.names("replicasets"), server.names("pods")) == ([], [])

    def test_a_pod_can_be_kept_from_getting_ready(self, server):
        """For lessons; the deployment says so."""
        annotations = {"crlab.dev/ready": "false"}
        template = {
            "metadata": {"labels": {"app": "web"}, "annotations": annotations},
            "spec": {"containers": [{"name": "c", "image": "nginx:1"}]},
        }
        server.deployment(replicas=1, template=template)
        server.settle()
        status = server.client.get("deployments", "web")["status"]
        assert (status.get("readyReplicas"), status["unavailableReplicas"]) == (None, 1)

    def test_starting_takes_as_long_as_asked(self):
        """On the virtual clock."""
        server = ControlledServer(start_seconds=5)
        server.deployment(replicas=1)
        server.settle()
        assert server.client.get("deployments", "web")["status"].get("readyReplicas") is None
        server.clock.advance(5)
        server.settle()
        assert server.client.get("deployments", "web")["status"]["readyReplicas"] == 1
        server.manager.close()


class TestManager:
    def test_a_paused_controller_can_be_stepped(self, server):
        """Like the user's own."""
        server.manager.pause("deployment")
        server.deployment()
        server.settle()
        assert server.names("replicasets") == []
        record = server.manager.step_one("deployment")
        assert next(call.verb for call in record.writes) == "create"
        assert len(server.names("replicasets")) == 1
        server.manager.resume("deployment")
        server.settle()
        assert server.client.get("deployments", "web")["status"]["readyReplicas"] == 3

    def test_a_running_one_cannot(self, server):
        """Two hands on one key are refused."""
        with pytest.raises(LifecycleError, match="pause"):
            server.manager.step_one("deployment")

    def test_names_that_do_not_exist(self, server):
        """Are refused with those that do."""
        with pytest.raises(ConfigError, match="kubelet"):
            server.manager.pause("scheduler")
        with pytest.raises(ConfigError, match="workloads"):
            ControlledServer(groups=("cronjobs",))

    def test_causes_reach_from_write_to_pod(self, server):
        """explain tells the way."""
        server.deployment(replicas=1)
        server.settle()
        told = str(explain(server.trace, "default/web", controller="deployment"))
        assert "It sent create replicasets.apps" in told


def _ready(server):
    items = server.server.storage.items("pods")
    return sum(b'"phase":"Running"' in stored.data for _, stored in items)


def test_in_threads_they_are_one_thread_and_quick():
    """Over real sockets; an owner's deletion reaches its dependents in well under a second."""
    import threading
    import time

    import crlab

    with crlab.sandbox() as lab:
        names = [t.name for t in threading.enumerate() if t.name.startswith("crlab-builtin")]
        own = lab.client.create("configmaps", {"metadata": {"name": "own"}})
        metadata = {"name": "dep", "ownerReferences": [ref(own)]}
        lab.client.create("configmaps", {"metadata": metadata})
        start = time.monotonic()
        lab.client.delete("configmaps", "own")
        while any(
            item["metadata"]["name"] == "dep"
            for item in lab.client.list("configmaps", namespace="default")["items"]
        ):
            assert time.monotonic() - start < 5
        took = time.monotonic() - start
    assert (names, took < 1) == (["crlab-builtin-controllers"], True)


def test_in_threads_a_key_added_by_hand_wakes_them():
    """Also after a pause that somebody ends on the controller itself."""
    import threading

    import crlab

    with crlab.sandbox() as lab:
        made = lab.builtin_controllers.controllers["deployment"]
        made.pause()
        made.enqueue("default/none")
        made.resume()
        until = threading.Event()
        for _ in range(500):
            if made.runner.runs:
                break
            until.wait(0.01)
        assert made.runner.runs == 1
