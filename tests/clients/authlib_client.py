"""Signs in with authlib as it comes from PyPI, refreshes three times, and revokes.

    python authlib_client.py ISSUER CLIENT_ID CLIENT_SECRET AUTH_METHOD REDIRECT_URI USERNAME PASSWORD

The browser's part is played by requests and its cookie jar. It prints what it got as JSON.
authlib 1.9 has RFC 9207's metadata but doesn't look at `iss` in an answer: an app does that
itself, and so does this one.
"""

import json
import os
import sys
from urllib.parse import parse_qs, urlsplit

# A server on this machine, without TLS.
os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"

import requests  # noqa: E402
from authlib.common.security import generate_token  # noqa: E402
from authlib.integrations.base_client.errors import OAuthError  # noqa: E402
from authlib.integrations.requests_client import OAuth2Session  # noqa: E402
from authlib.oauth2 import rfc8414, rfc9207  # noqa: E402

from browser import Browser  # noqa: E402

ISSUER, CLIENT_ID, SECRET, METHOD, REDIRECT_URI, USERNAME, PASSWORD = sys.argv[1:]
# Without `openid`: this is OAuth alone, and no ID token is asked for.
SCOPE = "profile offline_access"


def check_issuer(callback):
    """RFC 9207 section 2.4."""
    given = parse_qs(urlsplit(callback).query).get("iss")
    if given != [metadata["issuer"]]:
        raise ValueError(f"an answer of {given}")


found = requests.get(rfc8414.get_well_known_url(ISSUER, external=True), timeout=10)
metadata = rfc8414.AuthorizationServerMetadata(found.json())
metadata.validate(metadata_classes=[rfc9207.AuthorizationServerMetadata])
assert metadata["issuer"] == ISSUER
assert metadata["authorization_response_iss_parameter_supported"] is True

app = OAuth2Session(
    CLIENT_ID,
    SECRET or None,
    token_endpoint_auth_method=METHOD,
    revocation_endpoint_auth_method=METHOD,
    scope=SCOPE,
    redirect_uri=REDIRECT_URI,
    code_challenge_method="S256",
    token_endpoint=metadata["token_endpoint"],
)
app.trust_env = False
verifier = generate_token(64)
start, state = app.create_authorization_url(metadata["authorization_endpoint"], code_verifier=verifier)
callback = Browser(USERNAME, PASSWORD).open(start, REDIRECT_URI)
check_issuer(callback)
try:
    check_issuer(callback.replace("iss=", "iss=x"))
except ValueError:
    pass
else:
    raise AssertionError("another issuer's answer was taken")

answers = [dict(app.fetch_token(authorization_response=callback, state=state, code_verifier=verifier))]
for _ in range(3):
    answers.append(dict(app.refresh_token()))
for answer in answers:
    assert answer["token_type"] == "Bearer", answer
    assert sorted(answer["scope"].split()) == sorted(SCOPE.split()), answer
assert len({answer["refresh_token"] for answer in answers}) == 4
assert len({answer["access_token"] for answer in answers}) == 4

last = answers[-1]["refresh_token"]
revoked = app.revoke_token(metadata["revocation_endpoint"], token=last, token_type_hint="refresh_token")
assert revoked.status_code == 200, revoked.text
try:
    app.refresh_token(refresh_token=last)
except OAuthError as error:
    assert error.error == "invalid_grant", error
    refused = error.description
else:
    raise AssertionError("a revoked token was taken")
print(json.dumps({"callback": callback, "answers": answers, "refused": refused}))
