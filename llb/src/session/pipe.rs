//! The bytes of a session, carried as messages of one call.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_stream::Stream as _;
use tokio_util::sync::PollSender;
use tonic::Streaming;

use crate::proto::moby::buildkit::v1::BytesMessage;

/// Largest message sent. The daemon takes 16 MiB; smaller ones keep memory low.
const LARGEST_CHUNK: usize = 1 << 20;
/// Messages that may wait for the connection: with those in flight, the bound of memory.
const QUEUE: usize = 8;

/// The two ends of what the client sends.
pub(crate) fn outgoing() -> (PollSender<BytesMessage>, mpsc::Receiver<BytesMessage>) {
    let (sender, receiver) = mpsc::channel(QUEUE);
    (PollSender::new(sender), receiver)
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
    sender: PollSender<BytesMessage>,
    pulse: Pulse,
}

impl SessionPipe {
    pub(crate) fn new(
        incoming: Streaming<BytesMessage>,
        sender: PollSender<BytesMessage>,
        pulse: Pulse,
    ) -> Self {
        Self {
            incoming,
            rest: Bytes::new(),
            sender,
            pulse,
        }
    }

    fn poll_send(
        &mut self,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let closed = |_| io::Error::from(io::ErrorKind::BrokenPipe);
        std::task::ready!(self.sender.poll_reserve(context)).map_err(closed)?;
        let total: usize = parts.iter().map(|part| part.len()).sum();
        let mut data = BytesMut::with_capacity(total.min(LARGEST_CHUNK));
        for part in parts {
            let room = LARGEST_CHUNK - data.len();
            data.extend_from_slice(&part[..part.len().min(room)]);
        }
        let length = data.len();
        let message = BytesMessage {
            data: data.freeze(),
        };
        self.sender.send_item(message).map_err(closed)?;
        Poll::Ready(Ok(length))
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
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_send(context, &[io::IoSlice::new(data)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_send(context, parts)
    }

    // Frame headers and payloads come apart; joined, they make half as many messages.
    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.sender.close();
        Poll::Ready(Ok(()))
    }
}
