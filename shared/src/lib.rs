//! The old names of what lies in the crates below this folder. It goes when nothing names it any more.

pub use domain::{channel, entry, id, position, publication, source};
pub use runtime::{failpoint, lifecycle, lock, telemetry};

/// Forwards to `auth`.
pub mod auth {
    pub use auth::*;
}

/// Forwards to `broker`.
pub mod broker {
    pub use broker::{
        ExpiredNode as Gone, ServerIdentity as Identity, StreamReader as Reader,
        TopicMessage as Message, *,
    };
    pub use domain::node::NodeId;
}

/// Forwards to `runtime::config`.
pub mod config {
    pub use runtime::config::{
        AccessSettings as Access, HeartbeatSettings as Rhythms, LimitSettings as Limits,
        SettingProblem as Problem, *,
    };
}

/// Forwards to `domain::control`.
pub mod control {
    pub use domain::control::{ChannelStatus as Standing, *};
}

/// Forwards to `domain::event`.
pub mod event {
    pub use domain::event::*;

    /// Forwards to the entities, the states and their folds.
    pub mod state {
        pub use domain::event::{entity::*, fold::*, state::*};
    }

    /// Forwards to submissions and rejections.
    pub mod submission {
        pub use domain::event::{rejection::Rejection, submission::*};
    }
}

/// Forwards to `store`.
pub mod store {
    pub use store::{EntryBatch as Batch, EntryVerdict as Verdict, *};
}

/// Forwards to `runtime::trace`.
pub mod trace {
    pub use domain::trace_context::TraceContext as Context;
    pub use runtime::trace::*;
}
