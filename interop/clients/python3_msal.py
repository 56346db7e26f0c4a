import lines

import msal


def setup(s):
    app = msal.ConfidentialClientApplication(
        s["clientID"],
        authority=s["authority"],
        validate_authority=not s["known"],
        client_capabilities=["cp1"],
        client_credential={
            "private_key": s["key"],
            # Without the thumbprint, newer versions take SHA-256's of the certificate.
            **({"thumbprint": s["sha1"]} if s["header"] == "x5t" else {}),
            **({"public_certificate": s["cert"]} if s["chain"] else {}),
        },
    )

    def checked(result):
        if not result or "access_token" not in result:
            raise lines.Refused("%s: %s" % ((result or {}).get("error"), (result or {}).get("error_description")))
        return result["access_token"]

    def token(job):
        scopes, claims = [job["scope"]], job.get("claims")
        found = app.acquire_token_silent(scopes, account=None, claims_challenge=claims)
        return checked(found or app.acquire_token_for_client(scopes, claims_challenge=claims))

    def code(job):
        flow = app.initiate_auth_code_flow([job["scope"]], redirect_uri=job["redirectURI"])
        return checked(app.acquire_token_by_auth_code_flow(flow, lines.follow(flow["auth_uri"])))

    def refresh(job):
        (account,) = app.get_accounts()
        return checked(app.acquire_token_silent([job["scope"]], account=account, force_refresh=True))

    return {
        "token": token,
        "obo": lambda job: checked(app.acquire_token_on_behalf_of(job["assertion"], [job["scope"]])),
        "code": code,
        "refresh": refresh,
    }


lines.serve(setup)
