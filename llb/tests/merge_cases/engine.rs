//! The engines of the testbed, and what they are told to do with merges.

use std::sync::Arc;

use llb::client::Client;
use llb::lower::Policy;
use llb::value::{Capability, CapabilitySet};
use tokio::sync::Semaphore;

use super::build::{self, Built, Outcome};
use super::case::Case;
use super::testbed;

/// Builds that run at once on one engine.
const AT_ONCE: usize = 6;

#[derive(Clone)]
pub(crate) struct Engine {
    pub(crate) name: &'static str,
    pub(crate) client: Client,
    pub(crate) caps: CapabilitySet,
    pub(crate) policy: Policy,
    slots: Arc<Semaphore>,
}

impl Engine {
    pub(crate) async fn start(name: &'static str) -> Self {
        let client = testbed::engine(name).await;
        let capabilities = client.capabilities().await.unwrap();
        let caps = capabilities.llb().iter();
        let caps = caps
            .filter_map(|name| Capability::from_name(name))
            .collect();
        Self {
            name,
            client,
            caps,
            policy: Policy::new().helper(testbed::helper()),
            slots: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }

    /// Whether merges are lowered for it.
    pub(crate) fn lowers(&self) -> bool {
        !self.caps.contains(Capability::MergeOp)
    }

    /// Builds all cases and compares with what they expect, in their order.
    pub(crate) async fn run(&self, cases: &[Case]) -> Vec<Outcome> {
        self.each(cases, async |engine, case| {
            build::outcome(engine, case).await
        })
        .await
    }

    /// Builds all cases, in their order.
    pub(crate) async fn trees(&self, cases: &[Case]) -> Vec<Result<Built, String>> {
        self.each(cases, async |engine, case| build::tree(engine, case).await)
            .await
    }

    async fn each<'c, T>(
        &'c self,
        cases: &'c [Case],
        act: impl AsyncFn(&'c Self, &'c Case) -> T,
    ) -> Vec<T> {
        let act = &act;
        let builds = cases.iter().map(|case| async move {
            let _slot = self.slots.acquire().await.unwrap();
            act(self, case).await
        });
        join_all(builds).await
    }
}

/// Runs futures side by side; gives what they give, in their order.
async fn join_all<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut running: Vec<_> = futures.map(Box::pin).collect();
    let mut done: Vec<Option<F::Output>> = running.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        let mut is_ready = true;
        for (future, done) in running.iter_mut().zip(&mut done) {
            if done.is_none() {
                match future.as_mut().poll(context) {
                    std::task::Poll::Ready(output) => *done = Some(output),
                    std::task::Poll::Pending => is_ready = false,
                }
            }
        }
        if is_ready {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    done.into_iter().flatten().collect()
}
