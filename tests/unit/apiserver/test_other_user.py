"""Another user of the machine gets nothing: no secret, no read, no write.

Only root can become somebody else, so the test exists for root only.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from support.server import serving

from crlab.client.kubeconfig import write_kubeconfig
from crlab.runtime.clock import RealClock

NOBODY = 65534
INTRUDER = f"""
import http.client, json, os, sys
"x".encode("idna")  # all that is imported late is imported while it can be read
port, kubeconfig, owner = int(sys.argv[1]), sys.argv[2], sys.argv[3]
os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})
found = {{"uid": os.getuid()}}

def tried(name, action):
    try:
        found[name] = action()
    except OSError as error:
        found[name] = type(error).__name__

def ask(method, path, body=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request(method, path, body, {{"Content-Type": "application/json"}})
    return connection.getresponse().status

tried("kubeconfig", lambda: open(kubeconfig).read())
tried("environment", lambda: open(f"/proc/{{owner}}/environ").read())
tried("arguments", lambda: open(f"/proc/{{owner}}/cmdline").read())
maps = "/api/v1/namespaces/default/configmaps"
tried("read", lambda: ask("GET", maps))
tried("write", lambda: ask("POST", maps, json.dumps({{"metadata": {{"name": "x"}}}})))
tried("guess", lambda: ask("POST", "/c/" + "A" * 32 + maps, "{{}}"))
print(json.dumps(found))
"""

if os.geteuid() == 0:

    def test_another_user_can_neither_read_nor_write(tmp_path: Path) -> None:
        """S25: the port is open to all, the secret only to its owner."""
        with serving(RealClock()) as server:
            secret = server.url.rpartition("/")[2]
            port = server.url.split(":")[2].partition("/")[0]
            config = tmp_path / "kubeconfig"
            write_kubeconfig(config, server.url, None)
            for folder in (tmp_path, *tmp_path.parents[:2]):
                folder.chmod(0o755)  # the file's own mode is what protects it
            command = [sys.executable, "-c", INTRUDER, port, str(config), str(os.getpid())]
            done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
            assert server.request("GET", "/api/v1/configmaps")[1]["items"] == []
        found = json.loads(done.stdout)
        assert secret not in found.pop("arguments")
        assert found == {
            "uid": NOBODY,
            "kubeconfig": "PermissionError",
            "environment": "PermissionError",
            "read": 404,
            "write": 404,
            "guess": 404,
        }
