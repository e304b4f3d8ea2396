"""What a reconcile works with."""

import pytest
from support.tiny_cluster import DEPLOYMENTS, SERVICES, TinyCluster

from crlab.errors import ConfigError, NotFound, ReconcileFailed, UnknownResource


@pytest.fixture
def cluster():
    made = TinyCluster()
    made.service(replicas=2)
    return made


def run(cluster, body, **options):
    """Run `body(ctx)` once and return the record."""
    return cluster.controller(lambda request, ctx: body(ctx) and None, **options).step(
        "default/web"
    )


def answer(cluster, body, **options):
    """Run `body(ctx)` once and return what it returned."""
    got = []
    record = run(cluster, lambda ctx: got.append(body(ctx)), **options)
    if record.error is not None:
        raise record.error
    return got[0]


def test_cached_reads_are_copies(cluster):
    """Whatever is done to them."""

    def body(ctx):
        ctx.get("myservices", "web").spec.replicas = 99
        return ctx.get("myservices", "web").spec.replicas

    assert answer(cluster, body) == 2
    assert cluster.informer(SERVICES).indexer.get_by_key("default/web")["spec"]["replicas"] == 2


def test_reads_say_where_they_came_from(cluster):
    """Cache where there is an informer, else the server."""

    def body(ctx):
        ctx.get("myservices", "web")
        ctx.get("myservices", "web", live=True)
        ctx.get("configmaps", "none")

    calls = run(cluster, body).calls
    assert [(c.resource, c.is_cached, c.code) for c in calls[:2]] == [
        ("myservices.example.com", True, None),
        ("myservices.example.com", False, 200),
    ]
    assert calls[2].error == "404 NotFound"


def test_lists_take_selectors_and_namespaces(cluster):
    """From the cache, sorted by key."""
    cluster.service("other", namespace="x")
    patch = {"metadata": {"labels": {"app": "a"}}}
    cluster.patch(SERVICES, "web", patch, namespace="default")
    names = lambda found: [obj["metadata"]["name"] for obj in found]  # noqa: E731
    assert answer(cluster, lambda ctx: names(ctx.list("myservices"))) == ["web"]
    assert answer(cluster, lambda ctx: names(ctx.list("myservices", namespace=""))) == [
        "web",
        "other",
    ]
    chosen = lambda ctx: names(ctx.list("myservices", label_selector="app in (a,b)"))  # noqa: E731
    assert answer(cluster, chosen) == ["web"]
    assert answer(cluster, lambda ctx: names(ctx.list("myservices", label_selector="!app"))) == []


def test_own_writes_are_read_back_at_once(cluster):
    """Before the watch has brought them; the cache itself is untouched."""
    deployments = cluster.informer(DEPLOYMENTS)

    def body(ctx):
        ctx.create(ctx.new("deployments", "d"))
        here, stale = ctx.get("deployments", "d"), ctx.is_stale
        listed = len(ctx.list("deployments"))
        ctx.delete("deployments", "d")
        return here is not None, stale, listed, ctx.get("deployments", "d")

    assert answer(cluster, body, owns=[deployments]) == (True, True, 1, None)


def test_wait_for_rv_lets_the_cache_catch_up(cluster):
    """With the manual driver everything else moves meanwhile, but no reconcile."""

    def body(ctx):
        made = ctx.patch_status({"phase": "x"})
        caught_up = ctx.wait_for_rv(made.metadata.resourceVersion)
        return caught_up, ctx.is_stale, ctx.wait_for_rv("999999", timeout_seconds=0.1)

    assert answer(cluster, body) == (True, False, False)


def test_owning_sets_the_reference_and_the_namespace(cluster):
    """One controller only, in one namespace only."""

    def body(ctx):
        child = ctx.own({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}})
        assert ctx.own(child) is child
        with pytest.raises(ConfigError, match="namespace"):
            ctx.own({"metadata": {"name": "d", "namespace": "other"}})
        taken = {"kind": "Other", "apiVersion": "v1", "name": "o", "uid": "u", "controller": True}
        with pytest.raises(ConfigError, match="controlled by Other"):
            ctx.own({"metadata": {"name": "e", "ownerReferences": [taken]}})
        return child

    child = answer(cluster, body)
    (reference,) = child["metadata"]["ownerReferences"]
    assert (reference["name"], reference["controller"]) == ("web", True)
    assert child["metadata"]["namespace"] == "default"


def test_finalizers_are_added_once_and_taken_off(cluster):
    """With the resourceVersion as a precondition."""

    def body(ctx):
        first, again = ctx.add_finalizer("x.dev/y"), ctx.add_finalizer("x.dev/y")
        has = ctx.has_finalizer("x.dev/y")
        return first, again, has, ctx.remove_finalizer("x.dev/y"), ctx.remove_finalizer("x.dev/y")

    assert answer(cluster, body) == (True, False, True, True, False)
    with pytest.raises(ConfigError, match="domain/name"):
        answer(cluster, lambda ctx: ctx.add_finalizer("plain"))


def test_no_finalizer_is_added_to_what_is_being_deleted(cluster):
    """The server would refuse it."""
    patch = {"metadata": {"finalizers": ["a/b"], "deletionTimestamp": "2026-01-01T00:00:00Z"}}
    cluster.patch(SERVICES, "web", patch, namespace="default")
    body = lambda ctx: (ctx.is_deleting, ctx.add_finalizer("x.dev/y"))  # noqa: E731
    assert answer(cluster, body) == (True, False)


def test_deleting_what_is_gone(cluster):
    """False, or an error where that is wanted."""
    assert answer(cluster, lambda ctx: ctx.delete("configmaps", "none")) is False
    with pytest.raises(NotFound):
        answer(cluster, lambda ctx: ctx.delete("configmaps", "none", missing_ok=False))


def test_a_dry_run_reaches_every_write_and_no_store(cluster):
    """Marked as such in the record."""

    def body(ctx):
        ctx.create(ctx.new("configmaps", "c"))
        ctx.patch_status({"phase": "x"})
        ctx.event("Seen", "x")

    before = cluster.rv
    record = cluster.controller(lambda r, ctx: body(ctx)).step("default/web", dry_run=True)
    assert (cluster.rv, [c.is_dry_run for c in record.writes]) == (before, [True, True])
    assert "would have written" in record.sentence


def test_secrets_are_masked_in_the_record(cluster):
    """In requests, responses and diffs."""

    def body(ctx):
        secret = ctx.new("secrets", "s", data={"password": "Y2FuYXJ5LXZhbHVl"})
        ctx.create(secret)
        ctx.patch("secrets", "s", {"data": {"password": "Y2FuYXJ5LXR3bw=="}})
        ctx.get("secrets", "s")

    record = run(cluster, body)
    assert record.error is None
    text = repr([(c.request, c.response, c.changes) for c in record.calls]) + str(record)
    assert "Y2FuYXJ5" not in text
    assert cluster.objects["secrets"]["default/s"]["data"] == {"password": "Y2FuYXJ5LXR3bw=="}


def test_a_run_that_is_over_makes_no_more_calls(cluster):
    """A context kept beyond its run writes nothing behind its successor's back."""
    kept = []
    run(cluster, kept.append)
    with pytest.raises(ReconcileFailed, match="returned"):
        kept[0].create(kept[0].new("configmaps", "c"))


def test_the_diff_of_a_write(cluster):
    """Field by field against what was known."""
    record = run(cluster, lambda ctx: ctx.patch("myservices", "web", {"spec": {"replicas": 5}}))
    assert [str(change) for change in record.writes[0].changes] == ["~ .spec.replicas: 2 → 5"]


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (lambda ctx: ctx.get("myservice", "web"), UnknownResource),
        (lambda ctx: ctx.get("myservices", ""), ConfigError),
        (lambda ctx: ctx.get(None, "x"), ConfigError),
        (lambda ctx: ctx.create({"metadata": {"name": "x"}}), ConfigError),
        (lambda ctx: ctx.event("Seen", "x", type="Error"), ConfigError),
        (lambda ctx: ctx.event("", "x"), ConfigError),
        (lambda ctx: ctx.by_index("configmaps", "i", "v"), ConfigError),
        (lambda ctx: ctx.wait_for_rv("1", "configmaps"), ConfigError),
    ],
)
def test_bad_input_is_an_error_of_the_run(cluster, body, error):
    """Typed, and retried as any other."""
    assert isinstance(run(cluster, body).error, error)


def test_what_is_logged_is_in_the_record_and_the_trace(cluster):
    """With the run as its cause."""
    record = run(cluster, lambda ctx: ctx.log("replicas", 2))
    (logged,) = [r for r in cluster.trace if r.kind == "log"]
    assert (record.log, logged.causes) == (("replicas 2",), (record.started_seq,))


def test_every_request_carries_its_run(cluster):
    """As cause and actor, so that explain and RBAC can find it."""
    record = run(cluster, lambda ctx: ctx.create(ctx.new("configmaps", "c")))
    request = cluster.trace.get(record.writes[0].seq)
    assert request.causes == (record.started_seq,)
    assert request.get("actor") == "controller/test"


def test_what_was_read_can_be_applied(cluster):
    """managedFields, which the server refuses in an apply, are left out."""

    def body(ctx):
        obj = ctx.object
        obj.metadata.managedFields = [{"manager": "x"}]
        return ctx.apply(obj).metadata.get("managedFields")

    assert answer(cluster, body) is None
