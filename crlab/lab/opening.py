"""The four ways to open a lab: sandbox, connect, envtest, replay.

Thread: any; each call makes a lab of its own.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from crlab.apiserver import ADMIN, ApiServer
from crlab.client import DynamicClient, HttpTransport, load_config
from crlab.client.config import ClientConfig, from_configuration
from crlab.client.transport import Transport
from crlab.errors import ConfigError
from crlab.lab import open_lab
from crlab.lab.in_process import InProcessTransport
from crlab.lab.lab import Lab
from crlab.lab.open_lab import Opening
from crlab.lab.parts import LabKind, Parts
from crlab.lab.sandbox import Sandbox
from crlab.model.argument import checked_count, checked_path, checked_texts
from crlab.runtime.clock import Clock, FakeClock, RealClock, TickingClock
from crlab.runtime.driver import Driver, ManualDriver, ThreadDriver
from crlab.runtime.ids import Ids
from crlab.trace.record import Trace

if TYPE_CHECKING:
    from crlab.lab.replay_lab import ReplayLab
    from crlab.report.doctor import Doctor

DriverName = Literal["threads", "manual"]
CONTROLLERS = ("namespace", "gc", "workloads")


def sandbox(
    *,
    seed: int | None = None,
    driver: DriverName = "threads",
    controllers: Sequence[str] | bool = True,
    tokens: Mapping[str, Any] | None = None,
    port: int = 0,
    name: str = "",
    max_records: int = 200_000,
) -> Sandbox:
    """Open a lab on an embedded API server of its own: writable, in this process, no cluster.

    Args:
        seed: the same uids, names, times and resourceVersions on every run; None is random.
        driver: "threads" runs every stage on a thread of its own, over HTTP on loopback;
            "manual" moves only by `lab.step()`, `settle()` and waits, on a clock that only
            `lab.advance()` moves, without a socket.
        controllers: which of the server's own controllers run: True for all, or names of
            "namespace", "gc" and "workloads".
        tokens: bearer token → user name or (user, groups); switches authentication and RBAC
            on. The lab itself stays the administrator.
        port: for HTTP; 0 takes a free one. With "manual" the server is on a socket only
            once `lab.serve()` is called.
        max_records: bound of the trace.

    Raises:
        ConfigError: an argument that cannot work, or the port is taken.
    """
    _check_driver(driver)
    ids = Ids(seed)
    clock = _clock(driver, seed)
    chosen = _chosen(controllers)
    server = ApiServer(clock, ids.fork("server"), tokens=_tokens(tokens))
    title = name or ("" if seed is None else f"seed={seed}")
    return _on_server(server, clock, ids, driver, chosen, title, port, max_records)


def forked(parts: Parts, server: ApiServer, controllers: tuple[str, ...]) -> Sandbox:
    """Open a lab on a fork of a sandbox's server; see `Sandbox.fork`."""
    driver: DriverName = "manual" if parts.driver.is_manual else "threads"
    clock = _clock(driver, parts.ids.seed)
    if isinstance(clock, FakeClock | TickingClock):
        clock = type(clock)(parts.clock.now())
    forked_server = server.fork(clock)
    name = f"{parts.name} fork".strip()
    return _on_server(
        forked_server, clock, Ids(parts.ids.seed), driver, controllers, name, 0, 200_000
    )


def _on_server(
    server: ApiServer,
    clock: Clock,
    ids: Ids,
    driver: DriverName,
    controllers: tuple[str, ...],
    name: str,
    port: int,
    max_records: int,
) -> Sandbox:
    if isinstance(clock, TickingClock):
        server.storage.subscribe(lambda entry: clock.tick())
    transport: Transport = InProcessTransport(server, identity=ADMIN)
    with Opening("a sandbox") as opening:
        if isinstance(clock, RealClock):
            opening.push("the timers", clock.close, rank=1)
        opening.push("the server", server.close)
        if driver == "threads":
            serve(server, port)
            transport = _loopback(server, clock)
        parts = _assemble(
            "sandbox",
            transport,
            clock=clock,
            ids=ids,
            driver=driver,
            server=server,
            name=name,
            allow_writes=True,
            max_records=max_records,
        )
        lab = Sandbox(parts, server, controllers)
        opening.push("the lab", lab.close)
        opening.keep()
    return lab


def connect(
    kubeconfig: str | os.PathLike[str] | None = None,
    context: str | None = None,
    *,
    url: str | None = None,
    token: str | None = None,
    ca_file: str | None = None,
    insecure: bool = False,
    allow_writes: Collection[str] | bool = (),
    allowed_plugins: Collection[str] | None = None,
    configuration: Any = None,
    driver: DriverName = "threads",
    max_records: int = 200_000,
) -> Lab:
    """Open a lab on a real API server, read-only unless told otherwise.

    The configuration is found in client-go's order: the arguments, the files of
    ``KUBECONFIG`` merged, the pod's service account (only where its token is mounted), and
    ``~/.kube/config``.

    Args:
        allow_writes: namespaces that may be written; True or ["*"] for everything,
            cluster-scoped objects included.
        insecure: do not verify the server's certificate; shown in every status.
        allowed_plugins: credential plugins that may run; None allows all.
        configuration: a ``kubernetes.client.Configuration`` that is set up already, instead
            of all of the above but `allow_writes`.

    Where ``CRLAB_BACKEND=embedded`` is set (as on Binder, where no cluster can be reached),
    only a configuration that is named is used; none is looked for.

    Raises:
        ConfigError: nothing was found, or it is broken; says what was looked at.
        CredentialError: a credential cannot be honoured; nothing was sent.
    """
    _check_driver(driver)
    clock = RealClock()
    if configuration is not None:
        found = from_configuration(configuration)
        return _connected("cluster", found, clock, driver, allow_writes, max_records)
    if kubeconfig is None and context is None and url is None:
        _check_may_search()
    if kubeconfig is not None:
        checked_path(kubeconfig, "kubeconfig")
    config = load_config(
        kubeconfig,
        context=context,
        url=url,
        token=token,
        ca_file=ca_file,
        insecure=insecure,
        allowed_plugins=allowed_plugins,
        clock=clock,
    )
    return _connected("cluster", config, clock, driver, allow_writes, max_records)


def envtest(*, timeout_seconds: float = 60.0, driver: DriverName = "threads") -> Lab:
    """Open a lab on a real kube-apiserver and etcd from `KUBEBUILDER_ASSETS`.

    They run on loopback and end with the lab. No controllers run there: namespaces stay
    terminating and nothing is garbage-collected (that is what envtest is).

    Raises:
        ConfigError: the binaries are missing, too old, or did not become ready.
    """
    from crlab.lab.envtest import ControlPlane, find_assets

    _check_driver(driver)
    clock = RealClock()
    plane = ControlPlane(find_assets(), clock)

    def config() -> ClientConfig:
        return load_config(url=plane.url, token=plane.token, ca_file=str(plane.ca_file))

    def is_ready() -> bool:
        return plane.ca_file.exists() and _answers(config(), clock)

    with Opening("envtest") as opening:
        opening.push("the control plane", plane.stop)
        plane.start(is_ready, timeout_seconds)
        lab = _connected("envtest", config(), clock, driver, True, 200_000)
        opening.push("the lab", lab.close)
        lab.on_close(plane.stop)
        opening.keep()
    return lab


def replay(
    path: str | os.PathLike[str],
    *,
    driver: DriverName = "manual",
    speed: float | None = float("inf"),
) -> ReplayLab:
    """Open a lab on a recording: its informers, frames and charts, without a cluster.

    Args:
        path: what `lab.record` wrote.
        driver: as for `sandbox`.
        speed: 1.0 as it was recorded, 10.0 ten times as fast, inf all at once, None only by
            ``lab.control.step()``.

    Raises:
        RecordingError: it is damaged, from a newer version, or hostile.
    """
    from crlab.lab.replay_lab import open_replay

    _check_driver(driver)
    checked_path(path, "what crlab.replay() reads")
    return open_replay(path, driver, speed)


def open_labs() -> list[Lab]:
    """Return the labs that are open, oldest first."""
    return [lab for lab in open_lab.opened() if isinstance(lab, Lab)]


def close_all() -> int:
    """Close every open lab; return how many there were.

    An interrupt is raised at once; the next call goes on with what is left.

    Raises:
        Exception: the first failure, after all labs had their turn; its notes name the others.
    """
    return open_lab.close_all()


def doctor() -> Doctor:
    """Report how safe what is open is: TLS, credentials, writes, redaction, libraries.

    Returns:
        A report whose repr is readable text; `is_well`, `warnings` and `findings` for code.
        It contains no credential and asks no server.
    """
    from crlab.report.doctor import examine

    return examine(open_labs())


def serve(server: ApiServer, port: int = 0) -> None:
    """Put a server on a loopback socket.

    Raises:
        ConfigError: the port is taken or may not be used.
    """
    if checked_count(port, "port") > 65535:
        raise ConfigError(f"port {port} does not exist; choose 1024 to 65535, or 0 for a free one")
    try:
        server.start(port=port)
    except OSError as error:
        raise ConfigError(
            f"cannot serve on 127.0.0.1:{port}: {error.strerror or error}; "
            "choose another port, or 0 for a free one"
        ) from error


def _connected(
    kind: LabKind,
    config: ClientConfig,
    clock: Clock,
    driver: DriverName,
    allow_writes: Collection[str] | bool,
    max_records: int,
) -> Lab:
    transport = HttpTransport(config.endpoint, config.credentials, clock=clock)
    parts = _assemble(
        kind,
        transport,
        clock=clock,
        ids=Ids(),
        driver=driver,
        server=None,
        name=config.context or config.endpoint.authority,
        url=f"{config.endpoint.scheme}://{config.endpoint.authority}",
        allow_writes=allow_writes,
        namespace=config.namespace,
        max_records=max_records,
    )
    return Lab(parts)


def _assemble(
    kind: LabKind,
    transport: Transport,
    *,
    clock: Clock,
    ids: Ids,
    driver: DriverName,
    server: ApiServer | None,
    name: str,
    allow_writes: Collection[str] | bool,
    url: str = "",
    namespace: str = "default",
    max_records: int,
) -> Parts:
    trace = Trace(clock, max_records=max_records)
    client = DynamicClient(
        transport,
        clock=clock,
        trace=trace,
        allow_writes=allow_writes,
        default_namespace=namespace,
        ids=ids.fork("client"),
    )
    outside = clock if server is None else None  # a server behind a socket moves by itself
    performer: Driver = ManualDriver(outside) if driver == "manual" else ThreadDriver(clock)
    parts = Parts(
        kind=kind,
        transport=transport,
        client=client,
        clock=clock,
        ids=ids,
        trace=trace,
        driver=performer,
        server=server,
        name=name,
        cluster_url=url,
    )
    parts.life.own_runtime(performer, clock)
    return parts


def _loopback(server: ApiServer, clock: Clock) -> HttpTransport:
    """Reach our own server over HTTP, as its administrator, tokens or not."""
    token = server.admin_token()
    config = load_config(url=server.url, token=token, clock=clock)
    return HttpTransport(config.endpoint, config.credentials, clock=clock)


def _clock(driver: DriverName, seed: int | None) -> Clock:
    if driver == "manual":
        return FakeClock()
    return RealClock() if seed is None else TickingClock()


def _answers(config: ClientConfig, clock: Clock) -> bool:
    transport = HttpTransport(config.endpoint, config.credentials, clock=clock)
    try:
        return transport.request("GET", "/readyz", timeout_seconds=2.0).status == 200
    except Exception:  # noqa: BLE001 - not ready yet, whatever the reason
        return False
    finally:
        transport.close()


def _tokens(tokens: Mapping[str, Any] | None) -> dict[str, tuple[str, Sequence[str]]] | None:
    """Return token → (user, groups), with one more for the lab itself."""
    if tokens is None:
        return None
    found: dict[str, tuple[str, Sequence[str]]] = {}
    for token, who in tokens.items():
        found[token] = (who, ()) if isinstance(who, str) else (who[0], tuple(who[1]))
    return found


def _chosen(controllers: Sequence[str] | bool) -> tuple[str, ...]:
    if isinstance(controllers, bool):
        return CONTROLLERS if controllers else ()
    checked_texts(controllers, "controllers (or True, or False)")
    unknown = [each for each in controllers if each not in CONTROLLERS]
    if unknown:
        raise ConfigError(f"no built-in controller {unknown[0]!r}; there are {CONTROLLERS}")
    return tuple(controllers)


def _check_may_search() -> None:
    """Refuse to look for a cluster where there is said to be none."""
    if os.environ.get("CRLAB_BACKEND") == "embedded":
        raise ConfigError(
            "no cluster is looked for here (CRLAB_BACKEND=embedded): open crlab.sandbox(), or "
            "name one: crlab.connect(kubeconfig) or crlab.connect(url=…)"
        )


def _check_driver(driver: str) -> None:
    if driver not in ("threads", "manual"):
        raise ConfigError(f'driver is "threads" or "manual", not {driver!r}')
