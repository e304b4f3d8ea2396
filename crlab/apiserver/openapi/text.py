"""What kubectl explain says about the kinds and fields people ask about most.

Keys are "core.v1.Pod" for a type, "core.v1.PodSpec.containers" for a field, "*.metadata" for
a field of any type.

Thread: constants.
"""

from __future__ import annotations

DESCRIPTIONS: dict[str, str] = {
    "*.apiVersion": "Group and version of the schema this object follows.",
    "*.kind": "Name of the resource this object is of.",
    "*.metadata": "Standard object's metadata: name, labels, owners and the server's bookkeeping.",
    "*.spec": "What is wanted.",
    "*.status": "What is. Written by controllers, through the status subresource.",
    "*.conditions": "Latest observations of the object's state, one per type.",
    "*.selector": "Label query that says which objects belong to this one.",
    "*.template": "Template of the objects that will be created.",
    "*.observedGeneration": "The generation that the status was worked out from.",
    "*.replicas": "Number of replicas.",
    "meta.ObjectMeta": "Metadata that every stored object has.",
    "meta.ObjectMeta.annotations": "Arbitrary texts by key, for tools; not for selecting.",
    "meta.ObjectMeta.creationTimestamp": "When the server created the object.",
    "meta.ObjectMeta.deletionTimestamp": (
        "When the object will be deleted. Set by the server on a graceful deletion; the object "
        "goes once its finalizers are gone."
    ),
    "meta.ObjectMeta.finalizers": "What must be done, and by whom, before the object may go.",
    "meta.ObjectMeta.generateName": "Prefix the server makes a unique name from if name is empty.",
    "meta.ObjectMeta.generation": "Number of the wanted state; grows with each change of it.",
    "meta.ObjectMeta.labels": "Texts by key that selectors can ask for.",
    "meta.ObjectMeta.managedFields": "Which manager set which fields, for server-side apply.",
    "meta.ObjectMeta.name": "Name, unique among the objects of its resource and namespace.",
    "meta.ObjectMeta.namespace": "Namespace the name is unique in; empty for cluster scope.",
    "meta.ObjectMeta.ownerReferences": "Objects this one depends on; it goes when they are gone.",
    "meta.ObjectMeta.resourceVersion": (
        "Opaque revision of the object: compare it, send it back, make no sense of it."
    ),
    "meta.ObjectMeta.uid": "Identity in time: a new object of the same name has another.",
    "core.v1.Pod": "Pod is a group of containers that run together on one node.",
    "core.v1.PodSpec": "PodSpec says which containers run, with what, and where.",
    "core.v1.PodSpec.containers": "The pod's containers, at least one; cannot be added later.",
    "core.v1.PodSpec.initContainers": "Containers that run to completion, in order, before these.",
    "core.v1.PodSpec.nodeName": "The node the pod runs on; set by the scheduler.",
    "core.v1.PodSpec.nodeSelector": "Labels a node must have.",
    "core.v1.PodSpec.restartPolicy": "When containers are started again: Always, OnFailure, Never.",
    "core.v1.PodSpec.serviceAccountName": "The ServiceAccount the pod runs as.",
    "core.v1.PodSpec.terminationGracePeriodSeconds": "Seconds from stop signal to kill.",
    "core.v1.PodSpec.tolerations": "Taints of nodes that the pod puts up with.",
    "core.v1.PodSpec.volumes": "Volumes that the containers can mount.",
    "core.v1.PodStatus.phase": "Pending, Running, Succeeded, Failed or Unknown.",
    "core.v1.Container": "A single application container.",
    "core.v1.Container.args": "Arguments to the entrypoint.",
    "core.v1.Container.command": "Entrypoint; the image's own if empty.",
    "core.v1.Container.env": "Environment variables.",
    "core.v1.Container.envFrom": "ConfigMaps and Secrets whose keys become environment variables.",
    "core.v1.Container.image": "Name of the image.",
    "core.v1.Container.imagePullPolicy": "Always, Never or IfNotPresent.",
    "core.v1.Container.livenessProbe": "Check that restarts the container when it fails.",
    "core.v1.Container.name": "Name, unique in the pod; a DNS label.",
    "core.v1.Container.ports": "Ports the container listens on; for information.",
    "core.v1.Container.readinessProbe": "Check that takes the pod out of Services when it fails.",
    "core.v1.Container.resources": "Compute resources the container needs and may use.",
    "core.v1.Container.volumeMounts": "Volumes to mount, and where.",
    "core.v1.ContainerPort.containerPort": "Number of the port, 1 to 65535.",
    "core.v1.ContainerPort.protocol": "TCP, UDP or SCTP.",
    "core.v1.ConfigMap": "ConfigMap holds configuration for pods to read.",
    "core.v1.ConfigMap.binaryData": "Binary values by key, in base64.",
    "core.v1.ConfigMap.data": "Text values by key.",
    "core.v1.ConfigMap.immutable": "If true, data can never be changed again.",
    "core.v1.Secret": "Secret holds data that should not be seen by everybody.",
    "core.v1.Secret.data": "Values by key, in base64.",
    "core.v1.Secret.stringData": "Values as plain text; the server moves them into data.",
    "core.v1.Secret.type": "What the data is for; Opaque if nothing in particular.",
    "core.v1.Namespace": "Namespace gives names a scope.",
    "core.v1.Service": "Service gives a set of pods one name and one address.",
    "core.v1.ServiceSpec.ports": "Ports the Service offers.",
    "core.v1.ServiceSpec.type": "ClusterIP, NodePort, LoadBalancer or ExternalName.",
    "core.v1.Event": "Event tells that something happened to an object.",
    "core.v1.Event.involvedObject": "The object this is about.",
    "core.v1.Event.message": "What happened, for people.",
    "core.v1.Event.reason": "Why, as one word for programs.",
    "core.v1.Event.type": "Normal or Warning.",
    "core.v1.Node": "Node is a machine that pods run on.",
    "apps.v1.Deployment": "Deployment rolls pods from one version to the next.",
    "apps.v1.DeploymentSpec.replicas": "Number of pods wanted; 1 if absent.",
    "apps.v1.DeploymentSpec.strategy": "How old pods are replaced by new ones.",
    "apps.v1.ReplicaSet": "ReplicaSet keeps a number of equal pods running.",
    "apps.v1.StatefulSet": "StatefulSet runs pods that keep their names and volumes.",
    "apps.v1.DaemonSet": "DaemonSet runs one pod on each node.",
    "batch.v1.Job": "Job runs pods until enough of them have succeeded.",
    "batch.v1.CronJob": "CronJob makes Jobs on a schedule.",
    "batch.v1.CronJobSpec.schedule": "When, in cron's notation.",
    "coordination.v1.Lease": "Lease says who holds something, and until when.",
    "apiextensions.v1.CustomResourceDefinition": (
        "CustomResourceDefinition makes the API server serve a new kind of object."
    ),
    "apiextensions.v1.CustomResourceDefinitionSpec.group": "API group of the new resource.",
    "apiextensions.v1.CustomResourceDefinitionSpec.names": "Kind, plural and short names.",
    "apiextensions.v1.CustomResourceDefinitionSpec.scope": "Cluster or Namespaced.",
    "apiextensions.v1.CustomResourceDefinitionSpec.versions": (
        "The versions, each with its schema; exactly one is stored."
    ),
}
