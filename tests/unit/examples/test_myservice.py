"""The guide's controller, stepped by hand: its outputs are what the guide prints."""

import re

import pytest

import crlab
from crlab.errors import NotFound
from crlab.examples import myservice

FIRST_STEPS = """\
step 1 of reconcile: default/web, try 1
  because   created myservices.example.com default/web rv=_
  cached    <MyService default/web rv=_>
  read      get myservices.example.com default/web (cached)
  wrote     patch myservices.example.com default/web
            + .metadata.finalizers: ['myservices.example.com/name-record']
  wrote     apply deployments.apps default/web (new)
  wrote     apply services default/web (new)
  wrote     apply configmaps default/web-name-record (new)
  wrote     patch myservices.example.com/status default/web
            + .status: {'phase': 'Pending', 'readyReplicas': 0}
  outcome   done
  came back MODIFIED myservices.example.com default/web rv=_
  came back MODIFIED myservices.example.com default/web rv=_
  came back ADDED deployments.apps default/web rv=_
  came back ADDED services default/web rv=_
  before    processing: - | queued: default/web | delayed: -
  after     processing: - | queued: default/web (×4) | delayed: -
step 2 of reconcile: default/web, try 1
  because   updated myservices.example.com default/web rv=_
  because   updated myservices.example.com default/web rv=_
  because   created deployments.apps default/web rv=_
  because   created services default/web rv=_
  cached    <MyService default/web rv=_>
  read      get myservices.example.com default/web (cached)
  wrote     apply deployments.apps default/web
  wrote     apply services default/web
  wrote     apply configmaps default/web-name-record
  outcome   done
  before    processing: - | queued: default/web (×4) | delayed: -
  after     processing: - | queued: - | delayed: -
"""


def steps(reconcile) -> list:
    records = []
    while (record := reconcile.step()) is not None:
        records.append(record)
    return records


def lab_with(**options):
    lab = crlab.sandbox(seed=0, driver="manual", **options)
    reconcile = myservice.controller(lab)
    lab.apply(myservice.EXAMPLE)
    return lab, reconcile


@pytest.fixture
def web():
    lab, reconcile = lab_with()
    yield lab, reconcile
    lab.close()


def test_its_first_steps_are_as_the_guide_prints_them():
    """Without workload controllers, so that nothing but the controller moves."""
    lab, reconcile = lab_with(controllers=["namespace", "gc"])
    text = "".join(f"{record}\n" for record in steps(reconcile))
    lab.close()
    assert re.sub(r"rv=\d+", "rv=_", text) == FIRST_STEPS


def test_the_same_steps_on_every_run():
    """Byte for byte: the seed decides uids, names and times."""
    texts = []
    for _ in range(2):
        lab, reconcile = lab_with()
        texts.append(
            "\n".join(map(str, steps(reconcile))) + str(reconcile.controller.explain("default/web"))
        )
        lab.close()
    assert texts[0] == texts[1]


def test_it_becomes_ready(web):
    """Through the deployment it made."""
    lab, reconcile = web
    steps(reconcile)
    status = lab.client.get("myservices", "web")["status"]
    assert status == {"phase": "Ready", "readyReplicas": 2}
    (event,) = lab.client.list("events", namespace="default")["items"]
    assert (event["reason"], event["message"]) == ("Ready", "2 of 2 replicas are ready")


def test_a_change_reaches_the_pods(web):
    """Spec in, pods and status out."""
    lab, reconcile = web
    steps(reconcile)
    patch = {"spec": {"replicas": 4, "image": "nginx:1.28"}}
    lab.client.patch("myservices", "web", patch)
    for _ in range(10):
        if not steps(reconcile):
            break
    images = {p["spec"]["containers"][0]["image"] for p in lab.client.list("pods")["items"]}
    assert images == {"nginx:1.28"}
    assert lab.client.get("myservices", "web")["status"]["readyReplicas"] == 4


def test_what_somebody_deletes_comes_back(web):
    """Level, not edge: it does not matter how the child got lost."""
    lab, reconcile = web
    steps(reconcile)
    lab.client.delete("services", "web")
    steps(reconcile)
    owners = lab.client.get("services", "web")["metadata"]["ownerReferences"]
    assert [(o["kind"], o["controller"]) for o in owners] == [("MyService", True)]


def test_deleting_it_leaves_nothing(web):
    """The finalizer takes the record, the garbage collector the rest."""
    lab, reconcile = web
    steps(reconcile)
    lab.client.delete("myservices", "web")
    steps(reconcile)
    lab.settle()
    for plural, name in (
        ("myservices", "web"),
        ("configmaps", "web-name-record"),
        ("deployments", "web"),
        ("services", "web"),
    ):
        with pytest.raises(NotFound):
            lab.client.get(plural, name)


def test_five_retries_then_it_is_given_up(web):
    """A server that refuses for good: 6 tries, then reported."""
    lab, reconcile = web
    body = {"metadata": {"name": "web-name-record", "namespace": "default"}, "immutable": True}
    lab.client.create("configmaps", {**body, "data": {"name": "taken"}})
    outcomes = []
    while len(outcomes) < 20:
        record = reconcile.step()
        if record is None:
            due = reconcile.queue.next_due_seconds()
            if due is None:
                break
            lab.advance(due)
        elif record.error is not None:
            outcomes.append(record.outcome)
    assert outcomes[-1] == "given up after 6 attempts"
    assert "422" in reconcile.given_up["default/web"]


def test_an_image_that_cannot_be_is_not_retried(web):
    """TerminalError: nothing but a new spec can help."""
    lab, reconcile = web
    steps(reconcile)
    lab.client.patch("myservices", "web", {"spec": {"image": "not an image"}})
    assert reconcile.step().outcome == "not retried (terminal error)"
    assert reconcile.queue.next_due_seconds() is None


def test_a_dry_run_changes_nothing(web):
    """The server checks every write and keeps none."""
    lab, reconcile = web
    record = reconcile.step(dry_run=True)
    assert [call.is_dry_run for call in record.writes] == [True] * len(record.writes)
    assert record.events_back == ()
    assert "finalizers" not in lab.client.get("myservices", "web")["metadata"]
    with pytest.raises(NotFound):
        lab.client.get("deployments", "web")


def test_the_schema_helps(web):
    """Completion, documentation and a refusal of misspelt fields."""
    lab, _reconcile = web
    seen = {}

    def look(request, ctx):
        obj = ctx.object
        seen["dir"] = {"image", "replicas", "port"} <= set(dir(obj.spec))
        seen["doc"] = obj.describe("spec.replicas")
        with pytest.raises(AttributeError, match="nearest: replicas"):
            obj.spec.replica = 3
        obj.status.phase = "Ready"
        seen["status"] = obj["status"]

    looker = lab.controller("myservices", name="looker")(look)
    assert looker.step("default/web").error is None
    assert seen["dir"]
    assert seen["doc"] == "How many pods should run.\ntype: integer, default: 1, minimum: 0"
    assert seen["status"] == {"phase": "Ready"}


def test_the_steppers_box_takes_keys_and_attempts(web):
    """What does not parse is shown beside the box and keeps the last breakpoint."""
    from crlab.lab.source.step_source import Steps
    from crlab.lab.view import place_of

    lab, reconcile = web
    steps = Steps(place_of(lab), lab, reconcile)
    steps.set_breakpoint("attempt>2")
    steps.set_breakpoint("no breakpoint at all")
    state = steps.stepper_state()
    assert str(reconcile.breakpoints) == "attempt>=3"
    assert "write a key" in state.breakpoint_error
