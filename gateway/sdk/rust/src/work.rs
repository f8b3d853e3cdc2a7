//! What an agent does with its jobs.

use std::{future::Future, pin::Pin, sync::Arc};

use serde_json::Value;

use crate::job::Job;

type Outcome = Pin<Box<dyn Future<Output = Result<Value, String>> + Send>>;

/// Works on a job: what it returns is the result, its error the failure.
pub type Handler = Arc<dyn Fn(Job) -> Outcome + Send + Sync>;

/// Answers with a reason not to take a job.
pub(crate) type Refuse = Arc<dyn Fn(&Job) -> Option<String> + Send + Sync>;

/// What an agent does with a job.
#[derive(Clone)]
pub(crate) struct Work {
    pub handle: Handler,
    pub refuse: Refuse,
}
