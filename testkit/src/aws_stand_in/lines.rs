//! Connections that the stand-in can break, as a provider in trouble does: to the caller it is a reset.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

// 0 is a connection that nothing is wrong with.
const BROKEN: u8 = 1;
const DEAD: u8 = 2;

/// What a request knows of the connection that it came on.
#[derive(Debug, Clone, Default)]
pub(super) struct Line(Arc<AtomicU8>);

impl Line {
    /// Nothing more of an answer gets through.
    pub(super) fn break_off(&self) {
        self.0.store(BROKEN, Ordering::SeqCst);
    }

    /// The answer gets through, and the next request meets a connection that is there no more.
    pub(super) fn die_after_the_answer(&self) {
        self.0.store(DEAD, Ordering::SeqCst);
    }
}

/// A listener whose connections are [`Line`]s.
pub(super) struct Lines(pub(super) TcpListener);

impl Listener for Lines {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        let (stream, address) = Listener::accept(&mut self.0).await;
        // Answers of a few bytes shall not wait for more of them.
        drop(stream.set_nodelay(true));
        (Connection { stream, line: Line::default() }, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

impl Connected<IncomingStream<'_, Lines>> for Line {
    fn connect_info(stream: IncomingStream<'_, Lines>) -> Self {
        stream.io().line.clone()
    }
}

pub(super) struct Connection {
    stream: TcpStream,
    line: Line,
}

impl Connection {
    /// Without lingering, closing is a reset.
    fn reset(&self) -> io::Error {
        #[expect(deprecated, reason = "a linger of zero blocks nobody")]
        drop(self.stream.set_linger(Some(Duration::ZERO)));
        io::ErrorKind::ConnectionReset.into()
    }

    fn is(&self, state: u8) -> bool {
        self.line.0.load(Ordering::SeqCst) == state
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if read.is_ready() && self.is(DEAD) {
            return Poll::Ready(Err(self.reset()));
        }
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.is(BROKEN) {
            return Poll::Ready(Err(self.reset()));
        }
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
