"""Says which client library the tests drive."""

import platform

import authlib
import requests
from authlib.integrations.requests_client import OAuth2Session

assert callable(OAuth2Session.refresh_token)
print(f"python {platform.python_version()}, authlib {authlib.__version__}, requests {requests.__version__}")
