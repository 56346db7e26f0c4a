"""An authorization server of Authlib for the tests of this module, with the
client credentials grant, over TLS on loopback.

It reads lines of JSON from standard input. The first configures it, each later
one registers a client or replaces one; every line is answered by one. When
standard input ends, so does the server: it can't outlive its test.
"""

import json
import logging
import os
import sys
import tempfile
import threading

import authlib
from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749 import ClientMixin, grants
from authlib.oauth2.rfc6749.errors import InvalidClientError
from authlib.oauth2.rfc6750 import BearerTokenGenerator
from authlib.oauth2.rfc7523 import JWTBearerClientAssertion
from flask import Flask
from werkzeug.serving import make_server

# Since 1.7, keys are joserfc's and the server names the audiences that it is known by.
NEW = tuple(int(n) for n in authlib.__version__.split(".")[:2]) >= (1, 7)
if NEW:
    from joserfc.jwk import KeySet
else:
    from authlib.jose import JsonWebKey

SCOPES = ["read", "write", "admin"]
LIFETIME = 3600

clients = {}


class Client(ClientMixin):
    """What Authlib asks about a client."""

    def __init__(self, message):
        self.client_id = message["id"]
        self.lifetime = int(message.get("lifetime") or LIFETIME)
        jwks = message["jwks"]
        self.keys = KeySet.import_key_set(jwks) if NEW else JsonWebKey.import_key_set(jwks)

    def get_client_id(self):
        return self.client_id

    def get_allowed_scope(self, scope):
        return " ".join(s for s in scope.split() if s in ("read", "write"))

    def check_endpoint_auth_method(self, method, endpoint):
        return endpoint == "token" and method == JWTBearerClientAssertion.CLIENT_AUTH_METHOD

    def check_grant_type(self, grant_type):
        return grant_type == "client_credentials"


class Assertion(JWTBearerClientAssertion):
    """What Authlib leaves to its user: the keys, and which jti were used."""

    used = set()
    lock = threading.Lock()

    def validate_jti(self, claims, jti):
        with self.lock:
            seen = (claims["sub"], jti) in self.used
            self.used.add((claims["sub"], jti))
        return not seen

    if NEW:
        issuer = ""

        def get_audiences(self):
            return [self.issuer + "/token", self.issuer]

        def resolve_client_public_key(self, client):
            return client.keys

    else:

        def resolve_client_public_key(self, client, headers):
            try:
                return client.keys.find_by_kid(headers.get("kid"))
            except ValueError:  # there is none
                raise InvalidClientError() from None


def assertion(issuer):
    if not NEW:
        return Assertion(issuer + "/token")
    made = Assertion()
    made.issuer = issuer
    return made


class ClientCredentials(grants.ClientCredentialsGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = [JWTBearerClientAssertion.CLIENT_AUTH_METHOD]


class Tokens(BearerTokenGenerator):
    """Tokens of a lifetime that the client has."""

    def __call__(self, grant_type, client, user=None, scope=None, expires_in=None, include_refresh_token=True):
        return super().__call__(grant_type, client, user, scope, client.lifetime, include_refresh_token)


def application(issuer):
    app = Flask(__name__)
    app.config["OAUTH2_SCOPES_SUPPORTED"] = SCOPES
    server = AuthorizationServer(app, query_client=clients.get, save_token=lambda token, request: None)
    server.register_client_auth_method(JWTBearerClientAssertion.CLIENT_AUTH_METHOD, assertion(issuer))
    server.register_grant(ClientCredentials)
    server.register_token_generator("default", Tokens(lambda **_: os.urandom(16).hex()))
    app.add_url_rule("/token", "token", server.create_token_response, methods=["POST"])
    return app


def start(message):
    app = Flask(__name__)
    with tempfile.TemporaryDirectory() as folder:
        files = []
        for name in ("cert", "key"):
            files.append(os.path.join(folder, name))
            with open(files[-1], "w", encoding="ascii", opener=lambda p, f: os.open(p, f, 0o600)) as f:
                f.write(message[name])
        server = make_server("127.0.0.1", 0, app, threaded=True, ssl_context=tuple(files))
        issuer = f"https://127.0.0.1:{server.port}"
        server.app = application(issuer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return {"issuer": issuer, "tokenURL": issuer + "/token"}


def main():
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    running = False
    for line in sys.stdin:
        message = json.loads(line)
        if running:
            try:
                clients[message["id"]] = Client(message)
                answer = {"registered": message["id"]}
            except Exception as err:  # keys that it can't read
                answer = {"error": str(err)}
        else:
            answer, running = start(message), True
        print(json.dumps(answer), flush=True)


main()
