"""S9: the derived role is enough, and any one right less is not."""

import pytest
import yaml

import crlab
from crlab.apiserver.request import Identity
from crlab.cache import SharedInformer
from crlab.client import DynamicClient
from crlab.errors import ConfigError
from crlab.examples import myservice
from crlab.lab.in_process import InProcessTransport
from crlab.report.rbac import derive

ALICE = Identity("alice", ("system:authenticated",))


def play(controller, lab):
    """Everything the controller can do: create, change, delete."""
    lab.apply(myservice.EXAMPLE)
    settle(controller, lab)
    lab.client.patch("myservices", "web", {"spec": {"replicas": 3}})
    settle(controller, lab)
    lab.client.delete("myservices", "web")
    settle(controller, lab)


def settle(controller, lab):
    for _ in range(100):
        lab.settle()
        if controller.step() is None:
            due = controller.queue.next_due_seconds()
            if due is None:
                return
            lab.advance(due)


def sandbox():
    lab = crlab.sandbox(seed=0, driver="manual", tokens={"secret": "alice"})
    lab.apply(myservice.CRD)
    return lab


@pytest.fixture(scope="module")
def derived():
    """The rights of a run by the administrator."""
    with sandbox() as lab:
        made = myservice.controller(lab).controller
        play(made, lab)
        yield made, derive(lab.trace, made, user="alice")


def run_as_alice(model, rbac, *, is_streaming=True):
    """Return what was refused to a controller that has just these rights."""
    with sandbox() as lab:
        if not is_streaming:
            lab.faults.refuse_watch_list()
        for obj in rbac.objects():
            lab.client.create(lab.client.resolve(obj["kind"]), obj)
        client = DynamicClient(
            InProcessTransport(lab.server, identity=ALICE),
            clock=lab.clock,
            trace=lab.trace,
            allow_writes=True,
        )
        informers = {
            id(each): SharedInformer(
                client.lister_watcher(each.resource),
                driver=lab.driver,
                clock=lab.clock,
                ids=lab.ids,
                trace=lab.trace,
            )
            for each in model.informers
        }
        controller = model.twin(
            lambda each: informers[id(each)],
            client=client,
            driver=lab.driver,
            clock=lab.clock,
            ids=lab.ids,
            trace=lab.trace,
        )
        for informer in informers.values():
            informer.start()
        lab.settle()
        refused = [i.status for i in informers.values() if i.status.state != "live"]
        if not refused:
            play(controller, lab)
            refused = [r.error for r in controller.history if r.error is not None]
            refused += ["event"] * controller.env.recorder.failed
        controller.close()
        for informer in informers.values():
            informer.stop()
        return refused


def test_the_derived_role_is_enough(derived):
    """Nothing is refused, and the work is done, whether the server streams lists or not."""
    assert run_as_alice(*derived) == []
    assert run_as_alice(*derived, is_streaming=False) == []


def test_any_one_right_less_is_too_little(derived):
    """Each one is needed where lists are not streamed; finalizers elsewhere: see below."""
    model, rbac = derived
    spare = [
        str(right)
        for right in rbac.rights
        if not run_as_alice(model, rbac.without(right), is_streaming=False)
    ]

    assert spare == ["update myservices/finalizers.example.com in default"]


def test_the_rights_are_the_least(derived):
    """List and watch everywhere, since it watches everywhere; the rest where it happened."""
    assert [str(right) for right in derived[1].rights] == [
        "list services",
        "watch services",
        "list deployments.apps",
        "watch deployments.apps",
        "list myservices.example.com",
        "watch myservices.example.com",
        "create configmaps in default",
        "patch configmaps in default",
        "delete configmaps in default",
        "create events in default",
        "create services in default",
        "patch services in default",
        "create deployments.apps in default",
        "patch deployments.apps in default",
        "patch myservices.example.com in default",
        "update myservices/finalizers.example.com in default",
        "patch myservices/status.example.com in default",
    ]


def test_list_is_left_out_for_servers_that_stream_it():
    """On request only: such a role is refused by a server that does not."""
    with sandbox() as lab:
        made = myservice.controller(lab).controller
        play(made, lab)
        rbac = derive(lab.trace, made, include_list=False, user="alice")
    assert [right for right in rbac.rights if right.verb == "list"] == []
    assert run_as_alice(made, rbac) == []
    refused = run_as_alice(made, rbac, is_streaming=False)
    assert all('missing permission: verb "list"' in str(each) for each in refused)
    assert refused


OWNERS = {
    "create": lambda ctx, child: ctx.create(child),
    "apply": lambda ctx, child: ctx.apply(child),
    "ctx.client": lambda ctx, child: ctx.client.create("configmaps", child),
    "merge patch": lambda ctx, child: ctx.patch(
        "configmaps",
        "there",
        {"metadata": {"ownerReferences": child["metadata"]["ownerReferences"]}},
    ),
    "JSON patch": lambda ctx, child: ctx.patch(
        "configmaps",
        "there",
        [
            {
                "op": "add",
                "path": "/metadata/ownerReferences",
                "value": child["metadata"]["ownerReferences"],
            }
        ],
        patch_type="json",
    ),
    "update": lambda ctx, child: ctx.update(
        {**child, "metadata": {**child["metadata"], "name": "there"}}
    ),
    "dry run": lambda ctx, child: ctx.client.create("configmaps", child, dry_run=True),
}


def rights_of(write, **owner):
    """The rights of a controller that makes one write of a ConfigMap that a MyService owns."""
    with sandbox() as lab:
        lab.apply(myservice.EXAMPLE)
        lab.client.create("configmaps", {"metadata": {"name": "there"}})

        def reconcile(request, ctx):
            child = ctx.own({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}})
            child["metadata"]["ownerReferences"][0].update(owner)
            write(ctx, child)

        made = lab.controller("myservices", name="test")(reconcile)
        lab.settle()
        assert made.step("default/web").error is None
        return {str(right) for right in lab.rbac(made).rights}


@pytest.mark.parametrize("verb", OWNERS)
def test_a_reference_that_blocks_deletion_needs_the_owners_finalizers(verb):
    """Whatever write carried it; OwnerReferencesPermissionEnforcement asks for it."""
    right = "update myservices/finalizers.example.com in default"
    assert right in rights_of(OWNERS[verb])
    assert right not in rights_of(OWNERS[verb], blockOwnerDeletion=False)


def test_a_reference_that_was_only_sent_back_needs_nothing():
    """The owner's owner is somebody else's to block."""
    with sandbox() as lab:
        namespace = lab.get("namespaces", "default")
        above = {
            "apiVersion": "v1",
            "kind": "Namespace",
            "name": "default",
            "uid": namespace["metadata"]["uid"],
            "blockOwnerDeletion": True,
        }
        lab.apply(myservice.EXAMPLE)
        lab.client.patch("myservices", "web", {"metadata": {"ownerReferences": [above]}})
        made = lab.controller("myservices", name="test")(
            lambda request, ctx: ctx.update(ctx.object) and None
        )
        lab.settle()
        assert made.step("default/web").error is None
        rights = {str(right) for right in lab.rbac(made).rights}
    assert "update myservices.example.com in default" in rights
    assert not [right for right in rights if "finalizers" in right]


def test_the_finalizers_of_a_cluster_scoped_owner_are_a_cluster_role():
    """In a namespace the right would grant nothing."""
    with sandbox() as lab:

        def reconcile(request, ctx):
            child = {"apiVersion": "v1", "kind": "ConfigMap"}
            ctx.apply(ctx.own({**child, "metadata": {"name": "c", "namespace": request.name}}))

        made = lab.controller("namespaces", name="test")(reconcile)
        lab.settle()
        assert made.step("default").error is None
        assert "update namespaces/finalizers" in {str(right) for right in lab.rbac(made).rights}


def test_it_is_yaml_that_kubectl_takes(derived):
    """Two roles, two bindings."""
    kinds = [each["kind"] for each in yaml.safe_load_all(derived[1].yaml())]
    assert kinds == ["ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"]


def test_a_controller_that_never_ran_has_nothing_to_derive_from():
    """The way out is in the text."""
    with sandbox() as lab:
        made = myservice.controller(lab).controller
        with pytest.raises(ConfigError, match="step"):
            derive(lab.trace, made)
