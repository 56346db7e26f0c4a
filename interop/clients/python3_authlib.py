import lines

import requests
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT


def setup(s):
    metadata = requests.get(s["authority"] + "/.well-known/openid-configuration").json()
    endpoint = metadata["token_endpoint"]
    session = OAuth2Session(s["clientID"], s["key"], token_endpoint_auth_method="private_key_jwt")
    session.register_client_auth_method(PrivateKeyJWT(endpoint, alg=s["alg"]))
    refresh_token = []

    def code(job):
        session.redirect_uri, session.scope = job["redirectURI"], "openid offline_access " + job["scope"]
        url, state = session.create_authorization_url(metadata["authorization_endpoint"])
        back = lines.follow(url)
        tokens = session.fetch_token(endpoint, code=back["code"], state=state)
        refresh_token[:] = [tokens["refresh_token"]]
        return tokens["access_token"]

    return {
        "token": lambda job: session.fetch_token(endpoint, grant_type="client_credentials", scope=job["scope"])["access_token"],
        "code": code,
        "refresh": lambda job: session.refresh_token(endpoint, refresh_token[0])["access_token"],
    }


lines.serve(setup)
