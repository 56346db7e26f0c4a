"""Python's half of lines.mjs and reach.mjs: jobs by lines of JSON, and every
connection to the test's server under the name that the client asked for."""
import json
import os
import sys

from urllib3.util import connection

if "REACH" in os.environ:
    _host, _port = os.environ["REACH"].split(":")
    _connect = connection.create_connection
    connection.create_connection = lambda address, *args, **kwargs: _connect((_host, int(_port)), *args, **kwargs)


class Refused(Exception):
    """What a client answers instead of raising."""


def serve(setup):
    client = None
    for line in sys.stdin:
        job = json.loads(line)
        try:
            if job["op"] == "setup":
                client, result = setup(job), {}
            elif job["op"] in client:
                result = {"token": client[job["op"]](job)}
            else:
                result = {"unsupported": True}
        except Exception as error:  # whatever the client raises is its answer
            result = {"error": "%s %s" % (type(error).__name__, error)}
        print(json.dumps(result), flush=True)


def follow(url):
    """Is the browser: the parameters of the redirect."""
    import requests
    from urllib.parse import parse_qsl, urlsplit

    response = requests.get(url, allow_redirects=False)
    return dict(parse_qsl(urlsplit(response.headers["Location"]).query))
