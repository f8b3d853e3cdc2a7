//! What operators do: kept in the record, and said in the log.

use std::sync::Arc;

use domain::node::NodeId;
use serde_json::Value;
use store::{AuditEntry, Store};

/// Keeps what operators do by this node.
#[derive(Clone)]
pub struct Audit {
    node: NodeId,
    store: Arc<dyn Store>,
}

impl Audit {
    /// Returns the audit of a node.
    pub fn new(node: NodeId, store: Arc<dyn Store>) -> Self {
        Self { node, store }
    }

    /// Notes what was done. An operator is not held up by a database that does not take it: then the
    /// log alone has it.
    pub async fn note(&self, who: &str, action: &'static str, target: &str, details: Value) {
        tracing::info!(who, action, target, %details, "audit: an operator acted");
        let (who, target, node) = (who.to_owned(), target.to_owned(), self.node.clone());
        let entry = AuditEntry { who, action, target, node, details };
        if let Err(error) = self.store.note_audit(&entry).await {
            tracing::warn!(%error, action, "audit: not kept in the record, the line before says it");
        }
    }
}
