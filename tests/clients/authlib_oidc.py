"""Signs in with authlib as it comes from PyPI, with an ID token that it verifies by the keys that
it discovers; asks for UserInfo, refreshes, revokes, and signs out.

    python authlib_oidc.py ISSUER CLIENT_ID CLIENT_SECRET AUTH_METHOD REDIRECT_URI POST_LOGOUT_URI USERNAME PASSWORD ALG
"""

import json
import os
import secrets
import sys
from urllib.parse import parse_qs, urlencode, urlsplit

# A server on this machine, without TLS.
os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"

import requests  # noqa: E402
from authlib.common.security import generate_token  # noqa: E402
from authlib.integrations.base_client.errors import OAuthError  # noqa: E402
from authlib.integrations.requests_client import OAuth2Session  # noqa: E402
from authlib.oidc.core import CodeIDToken, UserInfo  # noqa: E402
from authlib.oidc.discovery import OpenIDProviderMetadata, get_well_known_url  # noqa: E402
from joserfc import jwt  # noqa: E402
from joserfc.jwk import KeySet  # noqa: E402

from browser import Browser  # noqa: E402

ISSUER, CLIENT_ID, SECRET, METHOD, REDIRECT_URI, POST_LOGOUT_URI, USERNAME, PASSWORD, ALG = sys.argv[1:]
SCOPE = "openid profile email offline_access"

metadata = OpenIDProviderMetadata(requests.get(get_well_known_url(ISSUER, external=True), timeout=10).json())
assert metadata["issuer"] == ISSUER
keys = KeySet.import_key_set(requests.get(metadata["jwks_uri"], timeout=10).json())
assert ALG in metadata["id_token_signing_alg_values_supported"], metadata

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
browser = Browser(USERNAME, PASSWORD)


def begin(**more):
    verifier, nonce = generate_token(64), generate_token(32)
    start, state = app.create_authorization_url(
        metadata["authorization_endpoint"], code_verifier=verifier, nonce=nonce, **more
    )
    return browser.open(start, REDIRECT_URI), state, verifier, nonce


def verified(answer, **expected):
    """The claims of an answer's ID token, held against the keys and the standard's rules."""
    token = jwt.decode(answer["id_token"], keys, algorithms=[ALG])
    claims = CodeIDToken(
        token.claims,
        token.header,
        {"iss": {"value": ISSUER}, "aud": {"value": CLIENT_ID}},
        {"client_id": CLIENT_ID, "access_token": answer["access_token"], **expected},
    )
    claims.validate(leeway=10)
    return claims


def user_info():
    answer = app.get(metadata["userinfo_endpoint"])
    assert answer.status_code == 200, answer.text
    return UserInfo(answer.json())


callback, state, verifier, nonce = begin()
first = dict(app.fetch_token(authorization_response=callback, state=state, code_verifier=verifier))
claims = verified(first, nonce=nonce)
assert claims["nonce"] == nonce
info = user_info()
assert info["sub"] == claims["sub"] and info["preferred_username"] == USERNAME, info
assert info["email"] == f"{USERNAME}@example.com" and isinstance(info["email_verified"], bool), info

answers = [first]
for _ in range(3):
    answers.append(dict(app.refresh_token()))
    renewed = verified(answers[-1])
    for name in ("iss", "sub", "aud", "auth_time", "sid"):
        assert renewed[name] == claims[name], name
    assert user_info()["sub"] == claims["sub"]

last = answers[-1]["refresh_token"]
revoked = app.revoke_token(metadata["revocation_endpoint"], token=last, token_type_hint="refresh_token")
assert revoked.status_code == 200, revoked.text
try:
    app.refresh_token(refresh_token=last)
except OAuthError as error:
    assert error.error == "invalid_grant", error
else:
    raise AssertionError("a revoked token was taken")

# Signed out at the server: it knows nobody in this browser afterwards.
state = secrets.token_urlsafe(16)
hint = {"id_token_hint": first["id_token"], "post_logout_redirect_uri": POST_LOGOUT_URI, "state": state}
end = browser.open(f"{metadata['end_session_endpoint']}?{urlencode(hint)}", POST_LOGOUT_URI)
assert end == f"{POST_LOGOUT_URI}?state={state}", end
callback, *_ = begin(prompt="none")
assert parse_qs(urlsplit(callback).query)["error"] == ["login_required"], callback
print(json.dumps({"answers": answers}))
