"""The official Python client, on the same server: for code that has it already.

The only module that imports the `kubernetes` package, and only when asked.

Thread: any; the `ApiClient` is the caller's.
Source: kubernetes-client/python:kubernetes/client/configuration.py.
"""

from __future__ import annotations

from typing import Any

from crlab.errors import ConfigError


def api_client(url: str, *, token: str | None = None, ca_file: str | None = None) -> Any:
    """Return a ``kubernetes.client.ApiClient`` for a server.

    Raises:
        ConfigError: the kubernetes package is not installed.
    """
    try:
        from kubernetes.client import ApiClient, Configuration
    except ImportError as error:
        raise ConfigError("the kubernetes package is not installed: pip install kubernetes") from (
            error
        )
    configuration = Configuration()
    configuration.host = url
    configuration.ssl_ca_cert = ca_file
    if token is not None:
        configuration.api_key = {"authorization": token}
        configuration.api_key_prefix = {"authorization": "Bearer"}
    return ApiClient(configuration)
