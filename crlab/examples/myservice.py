"""MyService → Deployment + Service: a whole controller, to read and to copy.

A MyService names an image, a number of replicas and a port. The controller makes a
Deployment and a Service for it (owned, so they go with it), keeps ``status.readyReplicas``
and ``status.phase``, and looks after one thing that nothing owns, a name record: that is
what the finalizer is for.

    lab = crlab.sandbox()
    reconcile = myservice.controller(lab)
    lab.apply(myservice.EXAMPLE)
    print(reconcile.step())              # one key, by hand
    reconcile.start()                    # or let it run

Every run looks at what is and applies what should be. That it was cut short before, or
that nothing has changed, makes no difference.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crlab import Request, Result, TerminalError

if TYPE_CHECKING:
    from crlab import Lab
    from crlab.controller import Context

FINALIZER = "myservices.example.com/name-record"

CRD = """\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: myservices.example.com
spec:
  group: example.com
  scope: Namespaced
  names: {plural: myservices, singular: myservice, kind: MyService, shortNames: [mysvc]}
  versions:
  - name: v1alpha1
    served: true
    storage: true
    subresources: {status: {}}
    additionalPrinterColumns:
    - {name: Image, type: string, jsonPath: .spec.image}
    - {name: Replicas, type: integer, jsonPath: .spec.replicas}
    - {name: Ready, type: integer, jsonPath: .status.readyReplicas}
    - {name: Phase, type: string, jsonPath: .status.phase}
    - {name: Age, type: date, jsonPath: .metadata.creationTimestamp}
    schema:
      openAPIV3Schema:
        type: object
        description: A container image, served on a port by a number of replicas.
        required: [spec]
        properties:
          spec:
            type: object
            description: What should be.
            required: [image]
            properties:
              image: {type: string, minLength: 1, description: The container image to run.}
              replicas:
                {type: integer, minimum: 0, default: 1, description: How many pods should run.}
              port:
                type: integer
                minimum: 1
                maximum: 65535
                default: 80
                description: The port that the containers listen on.
          status:
            type: object
            description: What is.
            properties:
              readyReplicas: {type: integer, description: How many pods are ready.}
              phase:
                type: string
                enum: [Pending, Progressing, Ready]
                description: Whether all that should run does.
"""

EXAMPLE = """\
apiVersion: example.com/v1alpha1
kind: MyService
metadata: {name: web, namespace: default}
spec: {image: "nginx:1.27", replicas: 2, port: 8080}
"""


def controller(lab: Lab) -> Any:
    """Return the controller in `lab`; it neither runs nor has it read anything yet."""
    if lab.kind == "sandbox":
        lab.apply(CRD)
    decorate = lab.controller("myservices", owns=["deployments", "services"], max_retries=5)
    return decorate(reconcile)


def reconcile(request: Request, ctx: Context) -> Result | None:
    """Bring the cluster to what one MyService says."""
    service = ctx.object
    if service is None:
        return None
    if ctx.is_deleting:
        ctx.delete("configmaps", record_name(request.name))
        ctx.remove_finalizer(FINALIZER)
        return None
    ctx.add_finalizer(FINALIZER)
    image = str(service.spec.image)
    if image.split() != [image]:
        raise TerminalError(f"{image!r} is no image: nothing but a new spec can help")

    deployment = ctx.apply(ctx.own(deployment_of(service)))
    ctx.apply(ctx.own(service_of(service)))
    ctx.apply(record_of(service))

    ready = (deployment.get("status") or {}).get("readyReplicas", 0)
    status = {"readyReplicas": ready, "phase": phase(ready, service.spec.replicas)}
    if service.get("status") != status:
        ctx.patch_status(status)
        if status["phase"] == "Ready":
            ctx.event("Ready", f"{ready} of {service.spec.replicas} replicas are ready")
    return None


def phase(ready: int, wanted: int) -> str:
    """Return one word for how far it is."""
    if ready == wanted:
        return "Ready"
    return "Progressing" if ready else "Pending"


def deployment_of(service: Any) -> dict[str, Any]:
    """Return the Deployment a MyService should have."""
    labels = {"app": service.metadata.name}
    container = {
        "name": "main",
        "image": service.spec.image,
        "ports": [{"containerPort": service.spec.port}],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": service.metadata.name, "labels": labels},
        "spec": {
            "replicas": service.spec.replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


def service_of(service: Any) -> dict[str, Any]:
    """Return the Service a MyService should have."""
    labels = {"app": service.metadata.name}
    port = {"port": 80, "targetPort": service.spec.port, "protocol": "TCP"}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": service.metadata.name, "labels": labels},
        "spec": {"selector": labels, "ports": [port]},
    }


def record_name(name: str) -> str:
    """Return the name of a MyService's name record."""
    return f"{name}-name-record"


def record_of(service: Any) -> dict[str, Any]:
    """Return the name record: it stands for something outside the cluster, so nothing owns it."""
    name, namespace = service.metadata.name, service.metadata.namespace
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": record_name(name)},
        "data": {"name": f"{name}.example.com", "target": f"{name}.{namespace}.svc"},
    }
