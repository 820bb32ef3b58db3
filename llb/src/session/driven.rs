//! A stream of answers together with the work that makes them.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::mpsc;
use tokio_stream::Stream;
use tonic::Status;

/// Yields what `work` sends, and runs `work` while it is polled.
///
/// The work lives exactly as long as the call it belongs to: when the peer resets the stream or the
/// session ends, hyper drops the stream and the work with it. A spawned task would live on.
pub(crate) struct Driven<T> {
    answers: mpsc::Receiver<Result<T, Status>>,
    work: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl<T> Driven<T> {
    pub(crate) fn new(
        answers: mpsc::Receiver<Result<T, Status>>,
        work: impl Future<Output = ()> + Send + 'static,
    ) -> Self {
        Self {
            answers,
            work: Some(Box::pin(work)),
        }
    }
}

impl<T> Stream for Driven<T> {
    type Item = Result<T, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(work) = &mut self.work
            && work.as_mut().poll(context).is_ready()
        {
            self.work = None;
        }
        self.answers.poll_recv(context)
    }
}
