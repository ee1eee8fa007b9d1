"""The browser's part: requests with its cookie jar, and a person who signs in and allows."""

from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

import requests


class Forms(HTMLParser):
    """The forms of a page: where they go, and what stands hidden in them."""

    def __init__(self, page):
        super().__init__()
        self.found = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag == "form":
            self.found.append((attrs.get("action") or "", {}))
        elif tag == "input" and attrs.get("type") == "hidden" and self.found:
            self.found[-1][1][attrs["name"]] = attrs.get("value", "")


class Browser:
    def __init__(self, username, password):
        self.person = {"username": username, "password": password}
        self.session = requests.Session()
        self.session.trust_env = False

    def open(self, url, app_address):
        """Follows redirects and fills in forms until the app's own address comes up."""
        data = None
        for _ in range(20):
            if url.startswith(app_address):
                return url
            if data is None:
                answer = self.session.get(url, allow_redirects=False)
            else:
                origin = "{0.scheme}://{0.netloc}".format(urlsplit(url))
                answer = self.session.post(url, data=data, allow_redirects=False, headers={"Origin": origin})
            data = None
            if answer.is_redirect:
                url = urljoin(url, answer.headers["location"])
                continue
            assert answer.status_code == 200, answer.text
            for action, hidden in Forms(answer.text).found:
                if action.endswith("/login"):
                    data = hidden | self.person
                elif action.endswith("/consent"):
                    data = hidden | {"decision": "allow"}
                if data is not None:
                    url = urljoin(url, action)
                    break
            assert data is not None, answer.text
        raise AssertionError("no end of pages")
