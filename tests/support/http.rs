//! A client that sees what a browser without JavaScript sees: it keeps
//! cookies, follows no redirect unasked, and fills in the forms of a page.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, COOKIE, HeaderMap, HeaderName, HeaderValue, LOCATION};
use reqwest::{Method, StatusCode};
use scraper::{ElementRef, Html, Selector};
use serde_json::Value;
use url::Url;

/// A browser's worth of state for one origin.
pub struct Http {
    base: Url,
    client: reqwest::Client,
    cookies: Mutex<BTreeMap<String, String>>,
    headers: HeaderMap,
    origin: String,
}

impl Http {
    /// A client that knows nothing yet.
    pub fn new(origin: &str) -> Http {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            // Sooner than the server closes one, which a request on its way would find closed.
            .pool_idle_timeout(Duration::from_secs(2))
            .build()
            .unwrap();
        let base = Url::parse(origin).unwrap();
        Http {
            origin: base.origin().ascii_serialization(),
            base,
            client,
            cookies: Mutex::default(),
            headers: HeaderMap::new(),
        }
    }

    /// Sends a header with every request.
    pub fn with_header(mut self, name: &'static str, value: &str) -> Http {
        self.headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        self
    }

    /// A browser that sees the server at this origin, by way of a proxy.
    pub fn with_origin(mut self, issuer: &str) -> Http {
        self.origin = Url::parse(issuer).unwrap().origin().ascii_serialization();
        self
    }

    /// The cookies it holds, by name.
    pub fn cookies(&self) -> BTreeMap<String, String> {
        self.cookies.lock().unwrap().clone()
    }

    /// Plants or replaces a cookie.
    pub fn set_cookie(&self, name: &str, value: &str) {
        self.cookies.lock().unwrap().insert(name.to_owned(), value.to_owned());
    }

    /// Forgets every cookie.
    pub fn forget_cookies(&self) {
        self.cookies.lock().unwrap().clear();
    }

    /// An absolute address of a path or an address.
    pub fn address(&self, target: &str) -> Url {
        self.base.join(target).unwrap()
    }

    /// GET.
    pub async fn get(&self, target: &str) -> Answer {
        self.send(self.request(Method::GET, target)).await
    }

    /// POST of form fields.
    pub async fn post_form(&self, target: &str, fields: &[(&str, &str)]) -> Answer {
        self.send(self.request(Method::POST, target).form(fields)).await
    }

    /// POST of form fields with HTTP Basic authentication.
    pub async fn post_form_as(
        &self,
        target: &str,
        (user, password): (&str, &str),
        fields: &[(&str, &str)],
    ) -> Answer {
        let request = self.request(Method::POST, target);
        self.send(request.basic_auth(user, Some(password)).form(fields)).await
    }

    /// POST of anything.
    pub async fn post_raw(&self, target: &str, content_type: &str, body: Vec<u8>) -> Answer {
        let request = self.request(Method::POST, target).header(CONTENT_TYPE, content_type);
        self.send(request.body(body)).await
    }

    /// A request to add to; hand it to [`Http::send`].
    pub fn request(&self, method: Method, target: &str) -> reqwest::RequestBuilder {
        let mut request =
            self.client.request(method, self.address(target)).headers(self.headers.clone());
        let cookies = self.cookies();
        if !cookies.is_empty() {
            let all: Vec<String> =
                cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            request = request.header(COOKIE, all.join("; "));
        }
        request
    }

    /// Sends a request, keeps the cookies of the answer, and reads it whole.
    pub async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        self.try_send(request).await.unwrap()
    }

    /// The same, for servers that may be gone.
    pub async fn try_send(&self, request: reqwest::RequestBuilder) -> reqwest::Result<Answer> {
        let answer = request.send().await?;
        self.keep_cookies(answer.headers());
        Ok(Answer {
            url: answer.url().clone(),
            status: answer.status(),
            headers: answer.headers().clone(),
            body: answer.text().await?,
        })
    }

    /// Submits a form as its page would: hidden fields, and what else stands in
    /// it, overwritten by `fields`. The pair of a pressed button goes into
    /// `fields` too.
    pub async fn submit(&self, form: &Form, fields: &[(&str, &str)]) -> Answer {
        let mut all = form.fields.clone();
        all.retain(|(name, _)| !fields.iter().any(|(given, _)| given == name));
        all.extend(fields.iter().map(|(name, value)| (name.to_string(), value.to_string())));
        let request = if form.method == Method::GET {
            self.request(Method::GET, &form.action).query_pairs(&all)
        } else {
            self.request(Method::POST, &form.action)
                .header("origin", &self.origin)
                .header("sec-fetch-site", "same-origin")
                .form(&all)
        };
        self.send(request).await
    }

    /// Follows redirects while they stay at this origin; returns the first
    /// answer that doesn't redirect here.
    pub async fn follow(&self, mut answer: Answer) -> Answer {
        for _ in 0..10 {
            match answer.location() {
                Some(next) if next.origin() == self.base.origin() => {
                    answer = self.get(next.as_str()).await;
                }
                _ => return answer,
            }
        }
        panic!("more than ten redirects, the last to {:?}", answer.location());
    }

    fn keep_cookies(&self, headers: &HeaderMap) {
        let mut cookies = self.cookies.lock().unwrap();
        for header in headers.get_all("set-cookie") {
            let Ok(header) = header.to_str() else {
                continue;
            };
            let mut parts = header.split(';').map(str::trim);
            let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else {
                continue;
            };
            let gone = parts.any(|part| part.eq_ignore_ascii_case("max-age=0"));
            if gone || value.is_empty() {
                cookies.remove(name);
            } else {
                cookies.insert(name.to_owned(), value.to_owned());
            }
        }
    }
}

trait QueryPairs {
    fn query_pairs(self, pairs: &[(String, String)]) -> Self;
}

impl QueryPairs for reqwest::RequestBuilder {
    fn query_pairs(self, pairs: &[(String, String)]) -> Self {
        let (client, request) = self.build_split();
        let mut request = request.unwrap();
        request.url_mut().query_pairs_mut().clear().extend_pairs(pairs);
        reqwest::RequestBuilder::from_parts(client, request)
    }
}

/// A whole answer.
#[derive(Debug)]
pub struct Answer {
    /// What was asked.
    pub url: Url,
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as text.
    pub body: String,
}

impl Answer {
    /// Fails unless the status is this one.
    #[track_caller]
    pub fn expect(self, status: u16) -> Answer {
        assert_eq!(self.status.as_u16(), status, "{}\n{}", self.url, self.body);
        self
    }

    /// A header as text; empty when it isn't there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("")
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body)
            .unwrap_or_else(|error| panic!("{error}\n{}\n{}", self.status, self.body))
    }

    /// Where it redirects to.
    pub fn location(&self) -> Option<Url> {
        if !self.status.is_redirection() {
            return None;
        }
        self.url.join(self.headers.get(LOCATION)?.to_str().ok()?).ok()
    }

    /// A parameter of the address it redirects to.
    pub fn location_parameter(&self, name: &str) -> Option<String> {
        self.location()?
            .query_pairs()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.into_owned())
    }

    /// The page's visible text, its white space run together.
    pub fn text(&self) -> String {
        let page = Html::parse_document(&self.body);
        let text: String = page.root_element().text().collect::<Vec<_>>().join(" ");
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// The only form that a CSS selector finds.
    #[track_caller]
    pub fn form(&self, selector: &str) -> Form {
        let forms = self.forms(selector);
        assert_eq!(forms.len(), 1, "forms by {selector:?} in {}\n{}", self.url, self.body);
        forms.into_iter().next().unwrap()
    }

    /// All forms that a CSS selector finds.
    pub fn forms(&self, selector: &str) -> Vec<Form> {
        let page = Html::parse_document(&self.body);
        page.select(&Selector::parse(selector).unwrap())
            .filter(|element| element.value().name() == "form")
            .map(|form| Form::of(form, &self.url))
            .collect()
    }

    /// The attribute of every element that a CSS selector finds.
    pub fn attributes(&self, selector: &str, attribute: &str) -> Vec<String> {
        let page = Html::parse_document(&self.body);
        page.select(&Selector::parse(selector).unwrap())
            .filter_map(|element| element.attr(attribute).map(str::to_owned))
            .collect()
    }
}

/// A form as it stands in a page.
#[derive(Clone, Debug)]
pub struct Form {
    /// Where it goes, absolute.
    pub action: String,
    /// GET or POST.
    pub method: Method,
    /// The names and values that it would send untouched, buttons left out.
    pub fields: Vec<(String, String)>,
}

impl Form {
    fn of(form: ElementRef<'_>, page: &Url) -> Form {
        let action = page.join(form.attr("action").unwrap_or("")).unwrap();
        let is_post = form.attr("method").is_some_and(|name| name.eq_ignore_ascii_case("post"));
        let controls = Selector::parse("input[name], select[name], textarea[name]").unwrap();
        let mut fields = Vec::new();
        for control in form.select(&controls) {
            let name = control.attr("name").unwrap_or_default().to_owned();
            let value = control.attr("value").unwrap_or_default().to_owned();
            let checked = control.attr("checked").is_some();
            if control.attr("disabled").is_some() {
                continue;
            }
            match (control.value().name(), control.attr("type").unwrap_or("text")) {
                ("input", "submit" | "button" | "image" | "reset" | "file") => {}
                ("input", "checkbox" | "radio") if !checked => {}
                ("input", "checkbox" | "radio") if control.attr("value").is_none() => {
                    fields.push((name, "on".to_owned()));
                }
                ("select", _) => {
                    let options = Selector::parse("option").unwrap();
                    let chosen = control
                        .select(&options)
                        .find(|option| option.attr("selected").is_some())
                        .or_else(|| control.select(&options).next());
                    if let Some(option) = chosen {
                        let text = || option.text().collect::<String>().trim().to_owned();
                        let value = option.attr("value").map(str::to_owned).unwrap_or_else(text);
                        fields.push((name, value));
                    }
                }
                ("textarea", _) => fields.push((name, control.text().collect())),
                _ => fields.push((name, value)),
            }
        }
        let method = if is_post { Method::POST } else { Method::GET };
        Form { action: action.into(), method, fields }
    }

    /// The value of a field.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

#[test]
fn a_form_is_read_as_a_browser_would() {
    let answer = Answer {
        url: Url::parse("http://localhost:1/login?next=x").unwrap(),
        status: StatusCode::OK,
        headers: HeaderMap::new(),
        body: "<form id=f method=post action='/login'><input type=hidden name=csrf value=abc>\
            <input name=user><input type=checkbox name=keep><input type=checkbox name=on checked>\
            <select name=s><option>a<option value=b selected>B</select>\
            <textarea name=t>hello</textarea><button name=do value=it>go</button></form>"
            .to_owned(),
    };
    let form = answer.form("form#f");
    assert_eq!(form.action, "http://localhost:1/login");
    assert_eq!(form.method, Method::POST);
    let fields: Vec<String> =
        form.fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(fields, ["csrf=abc", "user=", "on=on", "s=b", "t=hello"]);
}
