"""One controller's reads against everything that happened, with lag at every stage.

The server is the embedded one. Two namespaces are watched by one informer; its two reflectors
and its processor are stepped by themselves, so that each may hold what the others have passed
on. Of every key the whole history is known: a read is right if its state was true at some
moment not before the newest that this controller has seen or made.
"""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

import crlab
from crlab.controller.context import Context
from crlab.controller.reconcile import Request
from crlab.errors import CrlabError
from crlab.runtime.driver import ManualDriver
from support.informer_rig import quick

PLACES = ("a", "b")
KEYS = [f"{place}/{name}" for place in PLACES for name in ("x", "y")]
TAGS = ("red", "blue")
FOREVER = float("inf")

keys, tags = st.sampled_from(KEYS), st.sampled_from(TAGS)
whose = st.sampled_from(["ctx", "ctx", "ctx.client", "others"])


def by_tag(obj):
    return [obj["metadata"].get("labels", {}).get("tag", "")]


def config_map(key, tag, *, is_held=False):
    namespace, name = key.split("/")
    metadata = {"namespace": namespace, "name": name, "labels": {"tag": tag}}
    if is_held:
        metadata["finalizers"] = ["example.com/held"]
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}


class OwnWrites(RuleBasedStateMachine):
    """Own and others' writes of every verb, relists, and stages that lag."""

    @initialize(queue=st.sampled_from(["real", "real-per-item", "delta"]))
    def begin(self, queue):
        self.lab = crlab.sandbox(seed=0, driver="manual", controllers=False)
        for place in PLACES:
            self.lab.client.create("namespaces", {"metadata": {"name": place}})
        self.history: dict[str, list[tuple[int, str | None]]] = {
            key: [(0, None)] for key in KEYS
        }  # (revision, resourceVersion or None)
        self.seen = dict.fromkeys(KEYS, 0)  # the revision a read of a key may not go behind
        self.made = dict.fromkeys(KEYS, 0)  # that of the newest own write
        self.lab.server.storage.subscribe(self.committed)
        self.maps = self.lab.informer(
            "configmaps",
            namespace=PLACES,
            queue=queue,
            indexers={"tag": by_tag},
            timing=quick(),
        ).wait_for_sync()
        self.shared = self.maps.shared
        owner = self.lab.informer("namespaces").wait_for_sync()
        self.controller = self.lab.controller(owner, name="c", watches={self.maps: lambda o: []})
        made = self.controller(lambda request, ctx: None)
        self.ctx = Context(made.controller.env, Request("", "a"))
        self.lab.settle()

    def committed(self, commit):
        if commit.resource == "configmaps" and commit.key in self.history:
            state = None if commit.type == "DELETED" else str(commit.revision)
            self.history[commit.key].append((commit.revision, state))

    # -- writes --------------------------------------------------------------------------

    def written(self, key, by, what, *arguments, **options):
        """Do something; if it is this controller's, reads must show it from now on."""
        who = {"ctx": self.ctx, "ctx.client": self.ctx.client, "others": self.lab.client}[by]
        before = len(self.history[key])
        namespace = key.split("/")[0]
        try:
            getattr(who, what)(*arguments, namespace=namespace, **options)
        except CrlabError:
            return  # it exists, or not; the server has said so
        if by != "others" and len(self.history[key]) > before:
            self.made[key] = self.seen[key] = self.history[key][-1][0]

    @rule(key=keys, tag=tags, by=whose, is_held=st.booleans())
    def create(self, key, tag, by, is_held):
        obj = config_map(key, tag, is_held=is_held)
        if by == "ctx":
            self.write_object(key, "create", obj)
        else:
            self.written(key, by, "create", "configmaps", obj)

    def write_object(self, key, verb, obj):
        before = len(self.history[key])
        try:
            getattr(self.ctx, verb)(obj)
        except CrlabError:
            return
        if len(self.history[key]) > before:
            self.made[key] = self.seen[key] = self.history[key][-1][0]

    @rule(key=keys, tag=tags)
    def apply(self, key, tag):
        self.write_object(key, "apply", config_map(key, tag))

    @rule(key=keys, tag=tags, by=whose)
    def relabel(self, key, tag, by):
        patch = {"metadata": {"labels": {"tag": tag}}}
        self.written(key, by, "patch", "configmaps", key.split("/")[1], patch)

    @rule(key=keys, by=whose)
    def release(self, key, by):
        patch = {"metadata": {"finalizers": None}}
        self.written(key, by, "patch", "configmaps", key.split("/")[1], patch)

    @rule(key=keys, by=whose)
    def delete(self, key, by):
        self.written(key, by, "delete", "configmaps", key.split("/")[1])

    @rule(key=keys, tag=tags, by=st.sampled_from(["ctx.client", "others"]))
    def recreate(self, key, tag, by):
        self.release(key, by)
        self.delete(key, by)
        self.create(key, tag, by, is_held=False)

    @rule(place=st.sampled_from(PLACES))
    def delete_collection(self, place):
        mine = [key for key in KEYS if key.startswith(f"{place}/")]
        before = {key: len(self.history[key]) for key in mine}
        self.ctx.client.delete_collection("configmaps", namespace=place)
        for key in mine:
            if len(self.history[key]) > before[key] and self.history[key][-1][1] is None:
                self.made[key] = self.seen[key] = self.history[key][-1][0]

    @rule(key=keys)
    def read_live(self, key):
        namespace, name = key.split("/")
        self.ctx.get("configmaps", name, namespace=namespace, live=True)
        self.seen[key] = max(self.seen[key], self.history[key][-1][0])

    # -- stages --------------------------------------------------------------------------

    def move(self, stage, steps):
        assert isinstance(self.lab.driver, ManualDriver)
        for _ in range(steps):
            self.lab.driver.step(lambda each: each.name == stage)

    @rule(place=st.sampled_from(PLACES), steps=st.integers(1, 4))
    def receive(self, place, steps):
        self.move(f"reflector-configmaps/{place}", steps)

    @rule(steps=st.integers(1, 4))
    def process(self, steps):
        self.move("processor-configmaps", steps)

    @rule(place=st.sampled_from(PLACES))
    def bring(self, place):
        """Let all of one namespace come into the cache, and nothing of the other."""
        self.move(f"reflector-configmaps/{place}", 9)
        self.move("processor-configmaps", 9)

    @rule(number=st.integers(0, 1))
    def relist(self, number):
        self.shared._reflectors[number].outside.distrust("to list again")

    # -- promises ------------------------------------------------------------------------

    def moment(self, key, state, floor):
        """Return since when a state is true that is so after `floor`; None if it never is."""
        happened = self.history[key]
        for place, (since, known) in enumerate(happened):
            until = happened[place + 1][0] if place + 1 < len(happened) else FOREVER
            if known == state and until > floor:
                return since
        return None

    @invariant()
    def reads_see_what_was_written_and_never_go_back(self):
        if not hasattr(self, "ctx"):
            return
        read = {}
        for key in KEYS:
            namespace, name = key.split("/")
            obj = self.ctx.get("configmaps", name, namespace=namespace)
            state = None if obj is None else obj.metadata.resourceVersion
            since = self.moment(key, state, self.seen[key])
            assert since is not None, (key, state, self.seen[key], self.history[key])
            self.seen[key] = max(self.seen[key], since)
            read[key] = obj
        self.lists_agree({key: obj for key, obj in read.items() if obj is not None})

    def lists_agree(self, read):
        shown = lambda found: {f"{o.metadata.namespace}/{o.metadata.name}": o for o in found}  # noqa: E731
        assert shown(self.ctx.list("configmaps", namespace="")) == read
        for tag in TAGS:
            chosen = {k: o for k, o in read.items() if o.metadata.labels.tag == tag}
            assert shown(self.ctx.by_index("configmaps", "tag", tag)) == chosen
            by_label = self.ctx.list("configmaps", namespace="", label_selector=f"tag={tag}")
            assert shown(by_label) == chosen
        in_a = {k: o for k, o in read.items() if k.startswith("a/")}
        assert shown(self.ctx.list("configmaps", namespace="a")) == in_a

    @invariant()
    def the_cache_has_what_its_version_says(self):
        if not hasattr(self, "ctx"):
            return
        versions = {place: self.shared.resource_version_in(place) for place in PLACES}
        for key in KEYS:
            obj = self.shared.indexer.get_by_key(key)
            state = None if obj is None else obj.resource_version
            reached = int(versions[key.split("/")[0]] or 0)
            assert self.moment(key, state, reached) is not None, (key, state, versions)
        whole = int(self.shared.last_sync_resource_version)
        assert whole == min(int(each) for each in versions.values())

    @invariant()
    def staleness_is_told_truly(self):
        if not hasattr(self, "ctx"):
            return
        behind = []
        for key in KEYS:
            obj = self.shared.indexer.get_by_key(key)
            state = None if obj is None else obj.resource_version
            if self.moment(key, state, self.made[key]) is None:
                behind.append(key)
        text = self.ctx.staleness
        if behind:
            assert "has not seen" in text or "stale" in text, (behind, text)
        if "has not seen" in text:
            held = self.shared.indexer
            news = [
                key
                for key in KEYS
                if self.history[key][-1][1]
                != ((obj := held.get_by_key(key)) and obj.resource_version)
                or int(self.shared.resource_version_in(key[0]) or 0) < self.seen[key]
            ]
            assert news, text

    def teardown(self):
        if not hasattr(self, "ctx"):
            return
        self.lab.settle()
        for key in KEYS:
            obj = self.shared.indexer.get_by_key(key)
            assert (None if obj is None else obj.resource_version) == self.history[key][-1][1]
        assert not self.ctx.is_stale, self.ctx.staleness
        self.lab.close()
