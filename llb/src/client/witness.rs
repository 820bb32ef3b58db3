//! A pipe that keeps why it broke.
//!
//! HTTP hands the reason on to the call under way. A call that comes a moment later is told that the connection is closed
//! and no more, so the reason is kept here as well.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Why pipes of one connection broke first.
#[derive(Clone, Default)]
pub(super) struct Witness(Arc<OnceLock<(io::ErrorKind, String)>>);

impl Witness {
    /// Watches a pipe.
    pub(super) fn watch<P>(&self, pipe: P) -> Watched<P> {
        Watched {
            pipe,
            witness: self.clone(),
        }
    }

    /// Why reading failed, if it did.
    pub(super) fn error(&self) -> Option<io::Error> {
        let (kind, text) = self.0.get()?;
        Some(io::Error::new(*kind, text.clone()))
    }
}

/// A pipe under watch.
pub(super) struct Watched<P> {
    pipe: P,
    witness: Witness,
}

impl<P: AsyncRead + Unpin> AsyncRead for Watched<P> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.pipe).poll_read(context, buffer);
        if let Poll::Ready(Err(error)) = &read {
            // Only the first reason counts.
            self.witness
                .0
                .get_or_init(|| (error.kind(), error.to_string()));
        }
        read
    }
}

impl<P: AsyncWrite + Unpin> AsyncWrite for Watched<P> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.pipe).poll_write(context, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_shutdown(context)
    }
}
