//! The old names of what lies in the crates below this folder. It goes when nothing names it any more.

pub use domain::{channel, control, entry, id, json, position, publication, source, time};
pub use runtime::{config, failpoint, lifecycle, telemetry};

/// Forwards to `auth`.
pub mod auth {
    pub use auth::*;
}

/// Forwards to `broker`.
pub mod broker {
    pub use broker::*;
    pub use domain::node::NodeId;
}

/// Forwards to `domain::event`.
pub mod event {
    pub use domain::event::*;

    /// Forwards to the entities, the states and their folds.
    pub mod state {
        pub use domain::event::{entity::*, fold::*, state::*};
        pub use domain::time::iso;
    }

    /// Forwards to submissions and rejections.
    pub mod submission {
        pub use domain::event::{rejection::Rejection, submission::*};
    }
}

/// Forwards to `store`.
pub mod store {
    pub use store::*;
}

/// Forwards to `runtime::trace`.
pub mod trace {
    pub use domain::trace_context::TraceContext as Context;
    pub use runtime::trace::*;
}
