"""The official Python client, on the same server: for code that has it already.

The only module that imports the `kubernetes` package, and only when asked.

Thread: any; the `ApiClient` is the caller's.
Source: kubernetes-client/python:kubernetes/client/configuration.py.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlsplit

from crlab.client.dry_run_check import check_sent
from crlab.errors import ConfigError


def api_client(url: str, *, token: str | None = None, ca_file: str | None = None) -> Any:
    """Return a ``kubernetes.client.ApiClient`` for a server.

    Inside a dry run it refuses what would write, as every transport does.

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
    client: Any = ApiClient(configuration)
    send, root = client.rest_client.request, urlsplit(url).path

    def checked(method: str, url: str, *args: Any, **options: Any) -> Any:
        parts = urlsplit(url)  # newer versions put the query there, older ones beside it
        query = [*parse_qsl(parts.query), *(options.get("query_params") or ())]
        check_sent(method.upper(), parts.path.removeprefix(root), query, options.get("body"))
        return send(method, url, *args, **options)

    client.rest_client.request = checked
    return client
