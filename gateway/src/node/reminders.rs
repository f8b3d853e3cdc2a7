//! What a dialect asks its clients again and again, such as whether anything has changed.

use std::{sync::Arc, time::Duration};

use websocket::Frame;

use crate::{protocol::Dialect, session::sessions::Sessions};

/// Sends a dialect's reminder to those of its clients that said who they are, each time it is due. A
/// client that is slow is reminded the next time.
pub async fn remind(
    dialect: Arc<dyn Dialect>,
    sessions: Arc<Sessions>,
    (every, frame): (Duration, Frame),
) {
    loop {
        tokio::time::sleep(every).await;
        for session in sessions.all() {
            if session.dialect().name() == dialect.name() && session.is_known() {
                session.transport.send_if_room(&frame);
            }
        }
    }
}
