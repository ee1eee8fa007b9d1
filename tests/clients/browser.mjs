// The browser's part: `fetch`, a cookie jar, and a person who signs in and allows.
import assert from "node:assert/strict";

export class Browser {
  #cookies = new Map();
  #person;

  constructor(username, password) {
    this.#person = { username, password };
  }

  /** Follows redirects and fills in forms until the app's own address comes up; returns that. */
  async open(address, appAddress) {
    let request = { url: new URL(address), options: {} };
    for (let hop = 0; hop < 20; hop += 1) {
      const { url, options } = request;
      if (url.href.startsWith(appAddress)) return url;
      const answer = await this.#send(url, options);
      const page = await answer.text();
      if (answer.status >= 300 && answer.status < 400) {
        request = { url: new URL(answer.headers.get("location"), url), options: {} };
        continue;
      }
      assert.equal(answer.status, 200, page);
      const [form, own] = this.#next(page);
      const body = new URLSearchParams({ ...form.hidden, ...own });
      const headers = { origin: url.origin, "sec-fetch-site": "same-origin" };
      request = { url: new URL(form.action, url), options: { method: "POST", body, headers } };
    }
    assert.fail("no end of pages");
  }

  async #send(url, options) {
    const cookie = [...this.#cookies].map(([name, value]) => `${name}=${value}`).join("; ");
    const answer = await fetch(url, { ...options, redirect: "manual", headers: { ...options.headers, cookie } });
    for (const line of answer.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line);
      if (value && !/max-age=0/i.test(line)) this.#cookies.set(name, value);
      else this.#cookies.delete(name);
    }
    return answer;
  }

  /** The form that leads on, and what the person puts into it. */
  #next(page) {
    for (const form of forms(page)) {
      if (form.action.endsWith("/login")) return [form, this.#person];
      if (form.action.endsWith("/consent")) return [form, { decision: "allow" }];
    }
    assert.fail(page);
  }
}

function forms(page) {
  return [...page.matchAll(/<form[^>]* action="([^"]*)"[^>]*>(.*?)<\/form>/gs)].map(([, action, inside]) => ({
    action,
    hidden: Object.fromEntries(
      [...inside.matchAll(/<input type="hidden" name="([^"]*)" value="([^"]*)"/g)].map((field) => field.slice(1)),
    ),
  }));
}
