"""Ways to ask a local agent for a token with Python's azure-identity."""
import lines

from azure.identity import DefaultAzureCredential, ManagedIdentityCredential


def setup(s):
    def of(credential):
        return lambda job: credential.get_token(job["scope"]).token

    return {
        "managed": of(ManagedIdentityCredential()),
        "user": of(ManagedIdentityCredential(client_id=s["clientID"])),
        "default": of(DefaultAzureCredential()),
    }


lines.serve(setup)
