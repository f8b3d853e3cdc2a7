//! HTTP as a test wants it: status, headers and body of one request, nothing followed or retried.

use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::Value;

use crate::client::PATIENCE;

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body)
            .unwrap_or_else(|error| panic!("{error} in the body of {self:?}"))
    }

    /// Fails unless the status is this one.
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }

    /// One header as text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// A client without memory: no redirects, no connections kept.
#[derive(Debug, Clone)]
pub(crate) struct Http(reqwest::Client);

impl Http {
    pub(crate) fn new() -> Self {
        crypto::install();
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .pool_max_idle_per_host(0)
            .timeout(PATIENCE)
            .build();
        Self(client.expect("an HTTP client"))
    }

    /// One request; a body is sent as JSON, whatever it is.
    pub(crate) async fn send(
        &self,
        method: &str,
        url: &str,
        headers: &[(String, String)],
        body: Option<&str>,
    ) -> Result<Answer, reqwest::Error> {
        let response = self.request(method, url, headers, body).send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Answer { status, headers, body: response.text().await? })
    }

    /// The status of one request, whose answer may never end.
    pub(crate) async fn status(
        &self,
        method: &str,
        url: &str,
        headers: &[(String, String)],
        body: Option<&str>,
    ) -> u16 {
        let answer = self.request(method, url, headers, body).send().await;
        answer.unwrap_or_else(|error| panic!("{method} {url}: {error}")).status().as_u16()
    }

    fn request(
        &self,
        method: &str,
        url: &str,
        headers: &[(String, String)],
        body: Option<&str>,
    ) -> reqwest::RequestBuilder {
        let method = Method::from_bytes(method.as_bytes()).expect("an HTTP method");
        let mut request = self.0.request(method, url);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        if let Some(body) = body {
            request = request.header("Content-Type", "application/json").body(body.to_owned());
        }
        request
    }

    /// A GET that must be answered.
    pub(crate) async fn get(&self, url: &str) -> Answer {
        let answer = self.send("GET", url, &[], None).await;
        answer.unwrap_or_else(|error| panic!("GET {url}: {error}"))
    }

    /// A POST of JSON that must be answered.
    pub(crate) async fn post(&self, url: &str, body: &Value) -> Answer {
        let answer = self.send("POST", url, &[], Some(&body.to_string())).await;
        answer.unwrap_or_else(|error| panic!("POST {url}: {error}"))
    }
}
