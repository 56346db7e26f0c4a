import lines

from urllib.parse import urlsplit

from azure.identity import CertificateCredential, OnBehalfOfCredential


def setup(s):
    authority = urlsplit(s["authority"])
    tenant, pem = authority.path[1:], (s["cert"] + s["key"]).encode()
    options = {
        "authority": authority.netloc,
        "disable_instance_discovery": s["known"],
        "send_certificate_chain": s["chain"],
    }
    credential = CertificateCredential(tenant, s["clientID"], certificate_data=pem, **options)

    def token(job):
        claims = {"claims": job["claims"]} if job.get("claims") else {}
        return credential.get_token(job["scope"], enable_cae=True, **claims).token

    def obo(job):
        user = OnBehalfOfCredential(
            tenant, s["clientID"], client_certificate=pem, user_assertion=job["assertion"], **options
        )
        return user.get_token(job["scope"]).token

    return {"token": token, "obo": obo}


lines.serve(setup)
