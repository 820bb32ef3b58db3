//! The bytes of a session, carried as messages of one call.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;
use tokio_stream::Stream;
use tonic::Streaming;

use crate::proto::moby::buildkit::v1::BytesMessage;

/// Bytes that may wait for the connection, which is also the largest message sent: the daemon takes 16 MiB. With those
/// in flight it is the bound of memory.
const ROOM: usize = 1 << 20;

/// The two ends of what the client sends.
pub(crate) fn outgoing() -> (Sender, Outgoing) {
    let shared = Arc::new(Mutex::new(Waiting::default()));
    (Sender(Arc::clone(&shared)), Outgoing(shared))
}

/// Bytes on their way to the connection. What comes while it is busy becomes one message: frames of HTTP/2 have 16 KiB
/// here, and a message for each would be cut in two by the frames outside.
#[derive(Debug, Default)]
struct Waiting {
    data: BytesMut,
    /// Either end is gone.
    closed: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// Takes bytes.
#[derive(Debug)]
pub(crate) struct Sender(Arc<Mutex<Waiting>>);

/// The messages they become.
#[derive(Debug)]
pub(crate) struct Outgoing(Arc<Mutex<Waiting>>);

fn lock(waiting: &Mutex<Waiting>) -> MutexGuard<'_, Waiting> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends both sides: the writer fails, the reader gets what is left.
fn close(waiting: &Mutex<Waiting>) {
    let mut waiting = lock(waiting);
    waiting.closed = true;
    let wakers = [waiting.reader.take(), waiting.writer.take()];
    drop(waiting);
    wakers.into_iter().flatten().for_each(Waker::wake);
}

impl Drop for Sender {
    fn drop(&mut self) {
        close(&self.0);
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        close(&self.0);
    }
}

impl Sender {
    fn poll_send(
        &self,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut waiting = lock(&self.0);
        if waiting.closed {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let before = waiting.data.len();
        if before >= ROOM {
            waiting.writer = Some(context.waker().clone());
            return Poll::Pending;
        }
        for part in parts {
            let room = ROOM - waiting.data.len();
            waiting
                .data
                .extend_from_slice(&part[..part.len().min(room)]);
        }
        let length = waiting.data.len() - before;
        let reader = waiting.reader.take();
        drop(waiting);
        if let Some(reader) = reader {
            reader.wake();
        }
        Poll::Ready(Ok(length))
    }
}

impl Stream for Outgoing {
    type Item = BytesMessage;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<BytesMessage>> {
        let mut waiting = lock(&self.0);
        if !waiting.data.is_empty() {
            let data = std::mem::take(&mut waiting.data).freeze();
            let writer = waiting.writer.take();
            drop(waiting);
            if let Some(writer) = writer {
                writer.wake();
            }
            return Poll::Ready(Some(BytesMessage { data }));
        }
        if waiting.closed {
            return Poll::Ready(None);
        }
        waiting.reader = Some(context.waker().clone());
        Poll::Pending
    }
}

/// When the daemon was last heard of, if ever. It checks the session's health every few seconds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pulse(Arc<Mutex<Option<Instant>>>);

impl Pulse {
    pub(crate) fn last(&self) -> Option<Instant> {
        self.0.lock().ok().and_then(|last| *last)
    }

    fn beat(&self) {
        if let Ok(mut last) = self.0.lock() {
            *last = Some(Instant::now());
        }
    }
}

/// A session's bytes as a pipe.
#[derive(Debug)]
pub(crate) struct SessionPipe {
    incoming: Streaming<BytesMessage>,
    rest: Bytes,
    sender: Sender,
    pulse: Pulse,
}

impl SessionPipe {
    pub(crate) fn new(incoming: Streaming<BytesMessage>, sender: Sender, pulse: Pulse) -> Self {
        Self {
            incoming,
            rest: Bytes::new(),
            sender,
            pulse,
        }
    }
}

impl AsyncRead for SessionPipe {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.rest.is_empty() {
            match std::task::ready!(Pin::new(&mut self.incoming).poll_next(context)) {
                Some(Ok(message)) => {
                    self.pulse.beat();
                    self.rest = message.data;
                }
                Some(Err(status)) => return Poll::Ready(Err(io::Error::other(status))),
                None => return Poll::Ready(Ok(())),
            }
        }
        let length = self.rest.len().min(buffer.remaining());
        buffer.put_slice(&self.rest[..length]);
        self.rest.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for SessionPipe {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.sender.poll_send(context, &[io::IoSlice::new(data)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.sender.poll_send(context, parts)
    }

    // Frame headers and payloads come apart.
    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        close(&self.sender.0);
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio_stream::StreamExt as _;

    use super::*;

    async fn send(sender: &Sender, data: &[u8]) -> io::Result<usize> {
        poll_fn(|context| sender.poll_send(context, &[io::IoSlice::new(data)])).await
    }

    #[tokio::test]
    async fn what_waits_is_one_message_of_bounded_size() {
        let (sender, mut outgoing) = outgoing();
        assert_eq!(send(&sender, b"ab").await.unwrap(), 2);
        assert_eq!(send(&sender, b"c").await.unwrap(), 1);
        assert_eq!(outgoing.next().await.unwrap().data, "abc");
        assert_eq!(send(&sender, &vec![0; ROOM + 1]).await.unwrap(), ROOM);
        let waiting = tokio::spawn(async move { send(&sender, b"d").await });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished(), "there is no room");
        assert_eq!(outgoing.next().await.unwrap().data.len(), ROOM);
        assert_eq!(waiting.await.unwrap().unwrap(), 1);
        // The sender is gone with its task; what it sent is not.
        assert_eq!(outgoing.next().await.unwrap().data, "d");
        assert!(outgoing.next().await.is_none());
    }

    #[tokio::test]
    async fn a_connection_that_is_gone_is_an_error() {
        let (sender, outgoing) = outgoing();
        drop(outgoing);
        let error = send(&sender, b"a").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }
}
