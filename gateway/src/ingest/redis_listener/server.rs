//! The accept loop: connections in, as many as are allowed, until the drain.

use std::{sync::Arc, time::Duration};

use runtime::lifecycle::Lifecycle;
use tokio::{net::TcpListener, sync::Semaphore};

use super::{RedisListener, connection};

/// The answer to a client too many, in Redis's words.
const TOO_MANY: &[u8] = b"-ERR max number of clients reached\r\n";

/// Pause after an accept that failed for want of something, such as file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(250);

/// Serves Redis clients until the drain begins: producers wait then until the next process listens.
pub async fn serve(socket: TcpListener, listener: Arc<RedisListener>, life: Lifecycle) {
    let room = Arc::new(Semaphore::new(listener.limits.connections));
    let mut last_id = 0;
    loop {
        let accepted = tokio::select! {
            accepted = socket.accept() => accepted,
            () = life.draining() => return,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "redis listener: cannot accept a connection, trying again");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Ok(permit) = Arc::clone(&room).try_acquire_owned() else {
            // The kernel has room for so little; who does not read it learns nothing.
            drop(stream.try_write(TOO_MANY));
            continue;
        };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, %peer, "redis listener: the socket does not take its options");
        }
        last_id += 1;
        let (listener, living) = (Arc::clone(&listener), life.clone());
        life.spawn_until_stop(async move {
            let _permit = permit;
            connection::run(stream, peer, listener, last_id, &living).await;
        });
    }
}
