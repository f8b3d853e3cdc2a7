//! The running server that a command talks to: `FANFARE_URL` with `FANFARE_TOKEN`.

use std::time::Duration;

use clap::Args;
use reqwest::{Client, Method, StatusCode, Url};
use runtime::config::{Config, SettingProblem, masked_url};
use serde_json::Value;

use super::{failure::Failure, http_client};

/// How long a request may take; publishing waits up to 5 s for its outcome.
const DEADLINE: Duration = Duration::from_secs(15);

/// Where the server is and who we are there, when it is said on the command line.
#[derive(Debug, Default, Args)]
pub(crate) struct ServerArguments {
    /// The server; without it: `FANFARE_URL`, else this machine at `PORT`
    #[arg(long, global = true)]
    pub(crate) url: Option<String>,
    /// A token or an API key; without it: `FANFARE_TOKEN`, which no list of processes shows
    #[arg(long, global = true)]
    pub(crate) token: Option<String>,
}

/// A server, and who we are there.
pub(crate) struct ServerClient {
    http: Client,
    url: Url,
    given: Option<String>,
    token: Option<String>,
}

impl ServerClient {
    /// The server of the command line, else of the settings. Without a token a server in development
    /// mode hands out one, as it does for its console.
    pub(crate) async fn connect(
        config: &Config,
        arguments: &ServerArguments,
    ) -> Result<Self, Failure> {
        let url = match &arguments.url {
            Some(url) => parse(url)
                .ok_or_else(|| Failure::Usage("--url is no http:// or https:// URL".to_owned()))?,
            None => parse(&config.url).ok_or_else(|| {
                SettingProblem::new("fanfare_url", "is no http:// or https:// URL")
            })?,
        };
        let http = http_client::build(http_client::builder(url.as_str(), DEADLINE))?;
        let given = arguments.token.clone().or_else(|| config.token.clone());
        let mut server = Self { http, url, token: given.clone(), given };
        server.refresh().await?;
        Ok(server)
    }

    /// Asks for a fresh token when none was given.
    pub(crate) async fn refresh(&mut self) -> Result<(), Failure> {
        if self.given.is_none() {
            let (status, answer) =
                self.send(Method::GET, &["console", "session"], &[], None).await?;
            self.token =
                answer["token"].as_str().filter(|_| status.is_success()).map(str::to_owned);
        }
        Ok(())
    }

    /// Whether the token came from the settings, so that there is no other.
    pub(crate) fn has_given_token(&self) -> bool {
        self.given.is_some()
    }

    /// The token, if there is one.
    pub(crate) fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// The address of its WebSocket.
    pub(crate) fn socket(&self) -> String {
        let url = self.address(&["v1", "connect"], &[]).to_string();
        url.replacen("http", "ws", 1)
    }

    /// The server's name in messages.
    pub(crate) fn name(&self) -> String {
        masked_url(self.url.as_str()).trim_end_matches('/').to_owned()
    }

    /// A GET that must succeed.
    pub(crate) async fn get(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<Value, Failure> {
        self.expect(Method::GET, path, query, None).await
    }

    /// A request that must succeed.
    pub(crate) async fn expect(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Value, Failure> {
        let (status, answer) = self.send(method, path, query, body).await?;
        if status.is_success() { Ok(answer) } else { Err(refused(status, &answer)) }
    }

    /// A request; status and body, whatever they say.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<(StatusCode, Value), Failure> {
        let mut request = self.http.request(method, self.address(path, query));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        let status = response.status();
        let text = response.text().await.map_err(|error| self.unreachable(&error))?;
        Ok((status, domain::json::value(text.as_bytes()).unwrap_or(Value::String(text))))
    }

    /// The failure of a server that is not there.
    pub(crate) fn unreachable(&self, error: &dyn std::error::Error) -> Failure {
        // The innermost cause says it best: "Connection refused".
        let mut cause = error;
        while let Some(source) = cause.source() {
            cause = source;
        }
        let hint = "start one with `fanfare`, or name it with --url (FANFARE_URL)";
        Failure::Unreachable(format!("no server answers at {}: {cause}; {hint}", self.name()))
    }

    fn address(&self, path: &[&str], query: &[(&str, &str)]) -> Url {
        let mut url = self.url.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }
}

fn parse(url: &str) -> Option<Url> {
    Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https"))
}

/// What a refusal says: its problem's sentence, and each event that is wrong.
pub(crate) fn refused(status: StatusCode, answer: &Value) -> Failure {
    let detail = answer["detail"].as_str().or(answer.as_str()).unwrap_or_default();
    let mut text = format!("{status}: {detail}");
    for problem in answer["problems"].as_array().into_iter().flatten() {
        let part = |name: &str| problem[name].as_str().unwrap_or_default();
        text.push_str(format!("\n  {} {}", part("path"), part("message")).trim_end());
    }
    match status {
        StatusCode::SERVICE_UNAVAILABLE => Failure::Unreachable(text),
        StatusCode::UNAUTHORIZED => Failure::Refused(format!(
            "{text}; give a token or an API key with --token (FANFARE_TOKEN)"
        )),
        _ => Failure::Refused(text),
    }
}
