"""Signs in with requests-oauthlib as it comes from PyPI, whose session refreshes by itself; the ID
token, which it passes on unread, is verified by joserfc and the server's keys.

    python requests_oauthlib_client.py ISSUER CLIENT_ID CLIENT_SECRET AUTH_METHOD REDIRECT_URI POST_LOGOUT_URI USERNAME PASSWORD ALG
"""

import json
import os
import sys
from urllib.parse import urlencode

# A server on this machine, without TLS.
os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"

import requests  # noqa: E402
from joserfc import jwt  # noqa: E402
from joserfc.jwk import KeySet  # noqa: E402
from oauthlib.oauth2 import InvalidGrantError  # noqa: E402
from requests.auth import HTTPBasicAuth  # noqa: E402
from requests_oauthlib import OAuth2Session  # noqa: E402

from browser import Browser  # noqa: E402

ISSUER, CLIENT_ID, SECRET, METHOD, REDIRECT_URI, POST_LOGOUT_URI, USERNAME, PASSWORD, ALG = sys.argv[1:]

metadata = requests.get(f"{ISSUER}/.well-known/openid-configuration", timeout=10).json()
keys = KeySet.import_key_set(requests.get(metadata["jwks_uri"], timeout=10).json())

# How each way to authenticate is said to this library.
ways = {
    "none": {"include_client_id": True},
    "client_secret_basic": {"auth": HTTPBasicAuth(CLIENT_ID, SECRET)},
    "client_secret_post": {"include_client_id": True, "client_secret": SECRET},
}
refresh_ways = {
    "none": {"client_id": CLIENT_ID},
    "client_secret_basic": {"auth": HTTPBasicAuth(CLIENT_ID, SECRET)},
    "client_secret_post": {"client_id": CLIENT_ID, "client_secret": SECRET},
}
answers = []
session = OAuth2Session(
    CLIENT_ID,
    redirect_uri=REDIRECT_URI,
    scope=["openid", "profile", "email", "offline_access"],
    pkce="S256",
)
session.trust_env = False


def verified(answer):
    claims = jwt.decode(answer["id_token"], keys, algorithms=[ALG]).claims
    registry = jwt.JWTClaimsRegistry(
        iss={"essential": True, "value": ISSUER},
        aud={"essential": True, "value": CLIENT_ID},
        exp={"essential": True},
        leeway=10,
    )
    registry.validate(claims)
    return claims


def refresh():
    answers.append(dict(session.refresh_token(metadata["token_endpoint"], **refresh_ways[METHOD])))
    return answers[-1]


start, state = session.authorization_url(metadata["authorization_endpoint"], nonce="n-0S6_WzA2Mj")
browser = Browser(USERNAME, PASSWORD)
callback = browser.open(start, REDIRECT_URI)
answers.append(
    dict(session.fetch_token(metadata["token_endpoint"], authorization_response=callback, **ways[METHOD]))
)
claims = verified(answers[0])
assert claims["nonce"] == "n-0S6_WzA2Mj", claims
info = session.get(metadata["userinfo_endpoint"]).json()
assert info["sub"] == claims["sub"] and info["email"] == f"{USERNAME}@example.com", info

for _ in range(3):
    assert verified(refresh())["sub"] == claims["sub"]
    assert session.get(metadata["userinfo_endpoint"]).status_code == 200

last = answers[-1]
fields = {"token": last["refresh_token"]}
if METHOD == "client_secret_basic":
    revoked = requests.post(metadata["revocation_endpoint"], fields, auth=(CLIENT_ID, SECRET), timeout=10)
else:
    fields |= {"client_id": CLIENT_ID} | ({"client_secret": SECRET} if SECRET else {})
    revoked = requests.post(metadata["revocation_endpoint"], fields, timeout=10)
assert revoked.status_code == 200, revoked.text
try:
    refresh()
except InvalidGrantError as error:
    assert error.description, error
else:
    raise AssertionError("a revoked token was taken")

hint = {"id_token_hint": answers[0]["id_token"], "post_logout_redirect_uri": POST_LOGOUT_URI}
assert browser.open(f"{metadata['end_session_endpoint']}?{urlencode(hint)}", POST_LOGOUT_URI) == POST_LOGOUT_URI
print(json.dumps({"answers": answers}))
