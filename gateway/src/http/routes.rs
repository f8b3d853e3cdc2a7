//! Routes together with what they are, so that descriptions and tests can be held to all of them.

use std::fmt;

use axum::{
    Router,
    handler::Handler,
    routing::{MethodFilter, any, on},
};
use http::Method;

/// A way in over HTTP: a method and a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Door {
    /// The method; none: each that has no door of its own.
    pub method: Option<Method>,
    /// The path, as routers write it.
    pub path: &'static str,
}

impl fmt::Display for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method.as_ref().map_or("ANY", Method::as_str), self.path)
    }
}

/// Routes, and the door of each.
pub struct Routes<S> {
    router: Router<S>,
    doors: Vec<Door>,
}

impl<S: Clone + Send + Sync + 'static> Default for Routes<S> {
    fn default() -> Self {
        Self { router: Router::new(), doors: Vec::new() }
    }
}

impl<S: Clone + Send + Sync + 'static> Routes<S> {
    /// Adds a handler for a method of a path.
    #[must_use]
    pub fn on<H, T>(mut self, method: Method, path: &'static str, handler: H) -> Self
    where
        H: Handler<T, S>,
        T: 'static,
    {
        let filter = MethodFilter::try_from(method.clone()).unwrap_or(MethodFilter::GET);
        self.router = self.router.route(path, on(filter, handler));
        self.doors.push(Door { method: Some(method), path });
        self
    }

    /// Adds a handler for GET.
    #[must_use]
    pub fn get<H, T>(self, path: &'static str, handler: H) -> Self
    where
        H: Handler<T, S>,
        T: 'static,
    {
        self.on(Method::GET, path, handler)
    }

    /// Adds a handler for POST.
    #[must_use]
    pub fn post<H, T>(self, path: &'static str, handler: H) -> Self
    where
        H: Handler<T, S>,
        T: 'static,
    {
        self.on(Method::POST, path, handler)
    }

    /// Adds a handler for every method of a path that has none of its own.
    #[must_use]
    pub fn any<H, T>(mut self, path: &'static str, handler: H) -> Self
    where
        H: Handler<T, S>,
        T: 'static,
    {
        self.router = self.router.route(path, any(handler));
        self.doors.push(Door { method: None, path });
        self
    }

    /// Adds the routes of another part.
    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        self.router = self.router.merge(other.router);
        self.doors.extend(other.doors);
        self
    }

    /// Returns every way in.
    pub fn doors(&self) -> &[Door] {
        &self.doors
    }

    /// Returns what serves them.
    pub fn into_router(self) -> Router<S> {
        self.router
    }
}
