//! The accept loop of the examples and tests: TCP connections in, each request to a function.

use std::convert::Infallible;
use std::future::ready;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use socket2::SockRef;
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;

/// Bytes that the kernel takes and has not sent. Without this bound it holds megabytes for each
/// client that reads slowly.
const UNSENT_BYTES_MAX: u32 = 16 << 10;

/// Serves until the future is dropped.
pub(crate) async fn serve(
    listener: TcpListener,
    tasks: TaskTracker,
    respond: impl Fn(Request<Incoming>) -> Response<String> + Clone + Send + 'static,
) -> anyhow::Result<()> {
    loop {
        let (stream, _peer) = listener.accept().await?;
        stream.set_nodelay(true)?;
        if cfg!(target_os = "linux") {
            SockRef::from(&stream).set_tcp_notsent_lowat(UNSENT_BYTES_MAX)?;
        }
        let respond = respond.clone();
        let service = service_fn(move |request| ready(Ok::<_, Infallible>(respond(request))));
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        drop(tasks.spawn(async move { drop(connection.with_upgrades().await) }));
    }
}
