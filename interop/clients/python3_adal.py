import lines

import adal


def setup(s):
    context = adal.AuthenticationContext(s["authority"], validate_authority=not s["known"])
    public = {"public_certificate": s["cert"]} if s["chain"] else {}

    def token(job):
        resource = job["scope"][: -len("/.default")]
        return context.acquire_token_with_client_certificate(
            resource, s["clientID"], s["key"], s["sha1"], **public
        )["accessToken"]

    return {"token": token}


lines.serve(setup)
