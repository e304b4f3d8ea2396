"""S9: the derived role is enough, and any one right less is not."""

import pytest
import yaml

import crlab
from crlab.apiserver.request import Identity
from crlab.cache import SharedInformer
from crlab.client import DynamicClient
from crlab.controller import derive
from crlab.errors import ConfigError
from crlab.examples import myservice
from crlab.lab.in_process import InProcessTransport

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


def run_as_alice(model, rbac):
    """Return what was refused to a controller that has just these rights."""
    with sandbox() as lab:
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
    """Nothing is refused, and the work is done."""
    assert run_as_alice(*derived) == []


def test_any_one_right_less_is_too_little(derived):
    """Each one is needed."""
    model, rbac = derived
    spare = [str(right) for right in rbac.rights if not run_as_alice(model, rbac.without(right))]

    assert ", ".join(spare) == ""


def test_the_rights_are_the_least(derived):
    """Watch everywhere, since it watches everywhere; the rest where it happened."""
    assert [str(right) for right in derived[1].rights] == [
        "watch services",
        "watch deployments.apps",
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
        "patch myservices/status.example.com in default",
    ]


def test_list_is_added_for_servers_that_cannot_stream(derived):
    """On request only."""
    with sandbox() as lab:
        made = myservice.controller(lab).controller
        play(made, lab)
        rights = derive(lab.trace, made, is_list_included=True).rights
    assert "list services" in {str(right) for right in rights}


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
