"""A stand-in for the kube-apiserver binary: its flags, its TLS, its token file, our server.

Started as a process by what takes it for the real one.
"""

from __future__ import annotations

import argparse
import csv
import ssl
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import trustme

from crlab.apiserver import ApiServer, HttpRequest, WatchResponse
from crlab.runtime.clock import RealClock
from crlab.runtime.ids import Ids


class Handler(BaseHTTPRequestHandler):
    """Hands requests to the embedded server, without its secret prefix."""

    protocol_version = "HTTP/1.1"
    api: ApiServer

    def answer(self) -> None:
        url = urllib.parse.urlsplit(self.path)
        size = int(self.headers.get("content-length") or 0)
        request = HttpRequest(
            self.command,
            urllib.parse.unquote(url.path),
            tuple(urllib.parse.parse_qsl(url.query, keep_blank_values=True)),
            {name.lower(): value for name, value in self.headers.items()},
            self.rfile.read(size) if size else None,
        )
        found = self.api.handle(request)
        self.send_response(found.status)
        for name, value in found.headers:
            self.send_header(name, value)
        if isinstance(found, WatchResponse):
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.stream(found)
            return
        self.send_header("Content-Length", str(len(found.body)))
        self.end_headers()
        self.wfile.write(found.body)

    def stream(self, watch: WatchResponse) -> None:
        try:
            while True:
                data = watch.poll()
                if data:
                    self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))
                elif watch.is_ended:
                    self.wfile.write(b"0\r\n\r\n")
                    return
                else:
                    watch.wait(0.5)
        except OSError:
            self.close_connection = True
        finally:
            watch.close()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer


def main() -> None:
    """Serve as the flags say, until a signal."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--secure-port", type=int)
    parser.add_argument("--cert-dir", type=Path)
    parser.add_argument("--token-auth-file", type=Path)
    options, _ = parser.parse_known_args()
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1", "localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    tokens = {row[0]: (row[1], [row[3]]) for row in csv.reader(options.token_auth_file.open())}
    Handler.api = ApiServer(RealClock(), Ids(None), tokens=tokens)
    server = ThreadingHTTPServer(("127.0.0.1", options.secure_port), Handler)
    server.daemon_threads = True
    server.socket = context.wrap_socket(server.socket, server_side=True)
    options.cert_dir.mkdir(parents=True, exist_ok=True)
    authority.cert_pem.write_to_path(str(options.cert_dir / "apiserver.crt"))
    server.serve_forever()


if __name__ == "__main__":
    main()
