//! A group of tasks that ends as a whole.
//!
//! hyper spawns a task for every call of a connection. Left to the runtime they would outlive the
//! session and could still write an export after its build has failed.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use hyper::rt::Executor;
use tokio::task::JoinSet;

/// Owner of the tasks: dropping it aborts them.
#[derive(Debug, Default)]
pub(crate) struct TaskGroup(Arc<Mutex<JoinSet<()>>>);

/// Starts tasks in a group. It does not keep the group alive, because tasks themselves hold one.
#[derive(Clone, Debug)]
pub(crate) struct Spawner(Weak<Mutex<JoinSet<()>>>);

impl TaskGroup {
    /// A handle for those that start tasks.
    pub(crate) fn spawner(&self) -> Spawner {
        Spawner(Arc::downgrade(&self.0))
    }

    /// Aborts all tasks and waits until they have ended.
    pub(crate) async fn end(self) {
        let mut tasks = {
            let mut shared = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *shared)
        };
        tasks.shutdown().await;
    }
}

impl<F> Executor<F> for Spawner
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, task: F) {
        let Some(group) = self.0.upgrade() else {
            return;
        };
        let mut tasks = group.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn ending_a_group_ends_its_tasks() {
        let group = TaskGroup::default();
        let (sender, receiver) = tokio::sync::oneshot::channel::<()>();
        group.spawner().execute(async move {
            std::future::pending::<()>().await;
            drop(sender);
        });
        group.end().await;
        assert!(receiver.await.is_err(), "the task's values are dropped");
    }

    #[tokio::test]
    async fn dropping_a_group_ends_its_tasks() {
        let group = TaskGroup::default();
        let spawner = group.spawner();
        let (sender, receiver) = tokio::sync::oneshot::channel::<()>();
        spawner.clone().execute(async move {
            let _spawner = spawner;
            std::future::pending::<()>().await;
            drop(sender);
        });
        drop(group);
        assert!(receiver.await.is_err());
    }
}
