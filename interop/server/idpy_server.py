"""An authorization server of idpy-oidc for the tests of this module, with the
client credentials grant, over TLS on loopback.

It reads lines of JSON from standard input. The first configures it, each later
one registers a client or replaces one; every line is answered by one. When
standard input ends, so does the server: it can't outlive its test.
"""

import json
import logging
import os
import ssl
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl

from idpyoidc.message.oauth2 import ResponseMessage
from idpyoidc.server import Server
from idpyoidc.server.configure import AS_DEFAULT_CONFIG, ASConfiguration
from idpyoidc.server.exception import ClientAuthenticationError

METADATA = "/.well-known/oauth-authorization-server"


class Handler(BaseHTTPRequestHandler):
    """Hands requests on, as the package's own example does under Flask."""

    protocol_version = "HTTP/1.1"
    op = None
    one_at_a_time = threading.Lock()

    def log_message(self, format, *args):
        pass

    def do_GET(self):
        name = "server_metadata" if self.path == METADATA else ""
        self.serve(name, {})

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        self.serve("token" if self.path == "/token" else "", dict(parse_qsl(body)))

    def serve(self, name, request):
        if name == "":
            self.answer(404, "{}")
            return
        with self.one_at_a_time:
            # Version 5.0.0 fails when a client that has a session asks again for itself.
            self.op.context.session_manager.flush()
            self.answer(*self.ask(self.op.get_endpoint(name), request))

    def ask(self, endpoint, request):
        info = {"headers": {k.lower(): v for k, v in self.headers.items()}, "method": self.command, "url": self.path}
        try:
            parsed = endpoint.parse_request(request, http_info=info)
            if isinstance(parsed, ResponseMessage) and "error" in parsed:
                return 400, parsed.to_json()
            args = endpoint.process_request(parsed, http_info=info)
            response = endpoint.do_response(request=parsed, **args)
        except ClientAuthenticationError as err:  # the package leaves the code to its user: RFC 6749, section 5.2
            return 401, json.dumps({"error": "invalid_client", "error_description": str(err)})
        except Exception as err:
            return 400, json.dumps({"error": "invalid_request", "error_description": str(err)})
        return (400 if "error" in args else 200), response["response"]

    def answer(self, status, body):
        data = body.encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def configuration(issuer, folder):
    conf = dict(AS_DEFAULT_CONFIG)
    conf.update({
        "issuer": issuer,
        "httpc_params": {"verify": os.path.join(folder, "cert"), "timeout": 600},
        "key_conf": {"key_defs": [{"type": "RSA", "use": ["sig"]}, {"type": "EC", "crv": "P-256", "use": ["sig"]}],
                     "uri_path": "jwks.json"},
        "token_handler_args": {"jwks_defs": {"key_defs": [
            {"type": "oct", "bytes": 24, "use": ["enc"], "kid": "code"}]},
            "code": {"lifetime": 600}, "token": {"class": "idpyoidc.server.token.jwt_token.JWTToken",
                                                 "kwargs": {"lifetime": 3600}},
            "refresh": {"lifetime": 3600}},
    })
    conf.pop("cookie_handler", None)  # no browser comes here
    return conf


def start(message, folder):
    for name in ("cert", "key"):
        with open(os.path.join(folder, name), "w", encoding="ascii",
                  opener=lambda p, f: os.open(p, f, 0o600)) as f:
            f.write(message[name])
    # By default five connections may wait, and what comes with more is dropped for a second or more.
    ThreadingHTTPServer.request_queue_size = 128
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(os.path.join(folder, "cert"), os.path.join(folder, "key"))
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    issuer = f"https://127.0.0.1:{server.server_address[1]}"
    Handler.op = Server(ASConfiguration(conf=configuration(issuer, folder), base_path=folder), cwd=folder)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return {"issuer": issuer, "tokenURL": issuer + "/token"}


def register(message):
    op, client_id = Handler.op, message["id"]
    op.context.cdb[client_id] = {
        "client_id": client_id,
        "grant_types_supported": ["client_credentials"],
        "token_endpoint_client_authn_method": ["private_key_jwt"],
        "allowed_scopes": ["read", "write"],
    }
    op.keyjar.load_keys(client_id, message.get("jwksURI", ""), message.get("jwks"), replace=True)


def main():
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as folder:
        running = False
        for line in sys.stdin:
            message = json.loads(line)
            if running:
                register(message)
                answer = {"registered": message["id"]}
            else:
                answer, running = start(message, folder), True
            print(json.dumps(answer), flush=True)


main()
