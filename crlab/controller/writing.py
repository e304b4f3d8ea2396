"""What a reconcile can write.

Thread: the thread of the run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, cast

from crlab.controller.draft import Draft
from crlab.controller.reading import ReadingRun
from crlab.controller.run import checked_name
from crlab.errors import ConfigError, Conflict, NotFound
from crlab.model.argument import checked_answer, checked_function
from crlab.model.resource import ApiResource

T = TypeVar("T")

CONFLICT_TRIES = 5
CONFLICT_DELAY_SECONDS = 0.01
CONFLICT_JITTER = 0.1


class WritingRun(ReadingRun):
    """The writes of a run."""

    def create(self, obj: Mapping[str, Any]) -> Draft:
        """Create an object; the namespace defaults to the request's."""
        self.check()
        return self._writer.create(self._complete(obj))

    def update(self, obj: Mapping[str, Any]) -> Draft:
        """Replace an object; its resourceVersion must still be the server's (else 409)."""
        self.check()
        return self._writer.update(self._whole(obj))

    def update_status(self, obj: Mapping[str, Any]) -> Draft:
        """Replace the status of an object."""
        self.check()
        return self._writer.update(self._whole(obj), subresource="status")

    def update_subresource(self, obj: Mapping[str, Any], subresource: str) -> Draft:
        """Replace an object through another subresource, e.g. a namespace's "finalize"."""
        self.check()
        return self._writer.update(self._whole(obj), subresource=subresource)

    def patch(
        self,
        resource: str | ApiResource,
        name: str,
        patch: Mapping[str, Any] | Sequence[Any],
        *,
        namespace: str | None = None,
        patch_type: str | None = None,
    ) -> Draft:
        """Patch an object: "merge", "json" or "strategic"; None is as `patch` looks.

        Args:
            patch: a mapping, or a list of JSON patch operations.
        """
        self.check()
        found, place = self._place(resource, namespace)
        return self._writer.patch(found, place, checked_name(name), patch, patch_type)

    def patch_status(
        self,
        patch: Mapping[str, Any] | Sequence[Any],
        resource: str | ApiResource | None = None,
        name: str | None = None,
        *,
        namespace: str | None = None,
        patch_type: str | None = None,
    ) -> Draft:
        """Patch a status; of the object being reconciled unless named otherwise.

        A merge patch without a "status" key is taken for the status itself.
        """
        self.check()
        found, place = self._place(self.resource if resource is None else resource, namespace)
        body: Mapping[str, Any] | Sequence[Any] = patch
        if patch_type in (None, "merge") and isinstance(patch, Mapping) and "status" not in patch:
            body = {"status": patch}
        return self._writer.patch(
            found, place, name or self.request.name, body, patch_type, subresource="status"
        )

    def apply(self, obj: Mapping[str, Any], *, force: bool = True) -> Draft:
        """Apply an object server-side, as field manager "<controller>"."""
        self.check()
        found, tree = self._whole(obj)
        tree["metadata"].pop("managedFields", None)  # an object that was read may be applied
        return self._writer.apply((found, tree), force=force)

    def delete(
        self,
        resource: str | ApiResource | Mapping[str, Any],
        name: str | None = None,
        *,
        namespace: str | None = None,
        propagation_policy: str | None = None,
        grace_period_seconds: int | None = None,
        missing_ok: bool = True,
    ) -> bool:
        """Delete an object, named or given; an object given is deleted by its uid.

        Returns:
            False if it was gone already (an error if `missing_ok` is False).
        """
        self.check()
        uid = None
        if isinstance(resource, Mapping):
            found, obj = self._complete(resource)
            metadata = obj["metadata"]
            place, name, uid = metadata.get("namespace", ""), metadata["name"], metadata.get("uid")
        else:
            found, place = self._place(resource, namespace)
        try:
            self._writer.delete(
                found,
                place,
                checked_name(name),
                uid=uid,
                propagation_policy=propagation_policy,
                grace_period_seconds=grace_period_seconds,
            )
        except NotFound:
            if not missing_ok:
                raise
            return False
        return True

    def get_scale(
        self, resource: str | ApiResource, name: str, *, namespace: str | None = None
    ) -> Draft | None:
        """Read the scale subresource of an object, live; None if there is no such object."""
        self.check()
        found, place = self._place(resource, namespace)
        return self._writer.get(found, place, checked_name(name), live=True, subresource="scale")

    def scale(
        self,
        resource: str | ApiResource,
        name: str,
        replicas: int,
        *,
        namespace: str | None = None,
    ) -> Draft:
        """Set the replicas of an object through its scale subresource."""
        self.check()
        found, place = self._place(resource, namespace)
        patch = {"spec": {"replicas": replicas}}
        return self._writer.patch(
            found, place, checked_name(name), patch, "merge", subresource="scale"
        )

    def modify(
        self,
        resource: str | ApiResource,
        name: str,
        change: Callable[[Draft], Any],
        *,
        namespace: str | None = None,
    ) -> Draft:
        """Read live, let `change` alter it, update; again from the read on a conflict."""
        checked_function(change, "what ctx.modify() changes with", ("obj",))

        def attempt() -> Draft:
            obj = self.get(resource, name, namespace=namespace, live=True)
            if obj is None:
                raise ConfigError(f"cannot modify {resource} {name}: it does not exist")
            checked_answer(change(obj), "what ctx.modify() changes with")
            return self.update(obj)

        return self.retry_on_conflict(attempt)

    def retry_on_conflict(self, attempt: Callable[[], T]) -> T:
        """Call `attempt` until it meets no Conflict: 5 tries, 10 ms (+10 %) apart (rule 67).

        `attempt` must read what it changes anew, live, or it conflicts again.
        """
        checked_function(attempt, "what ctx.retry_on_conflict() tries")
        for number in range(CONFLICT_TRIES):
            try:
                return cast("T", checked_answer(attempt(), "what ctx.retry_on_conflict() tries"))
            except Conflict:
                if number == CONFLICT_TRIES - 1:
                    raise
            jitter = self._env.ids.uniform(0.0, CONFLICT_JITTER)
            self._env.pause(CONFLICT_DELAY_SECONDS * (1.0 + jitter))
        raise AssertionError("unreachable")
