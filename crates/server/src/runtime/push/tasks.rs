//! The tasks of one stream's pushes: those that run, and those that are saying goodbye. Far ends take
//! one at a time, so that whoever goes to the same place comes after them.

use futures_util::future::join_all;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::model::Push;

#[derive(Debug, Default)]
pub(super) struct Tasks {
    running: Vec<Running>,
    leaving: Vec<Running>,
}

/// A task that goes on until it is stopped.
#[derive(Debug)]
struct Running {
    push: Push,
    stop: CancellationToken,
    ended: CancellationToken,
    task: JoinHandle<()>,
}

impl Tasks {
    /// Stops those that are not wanted like this any more.
    pub(super) fn keep(&mut self, pushes: &[Push]) {
        let wanted = |r: &Running| r.push.is_enabled() && pushes.contains(&r.push);
        let (kept, gone): (Vec<_>, Vec<_>) = std::mem::take(&mut self.running)
            .into_iter()
            .partition(wanted);
        gone.iter().for_each(|gone| gone.stop.cancel());
        self.running = kept;
        self.leaving.retain(|l| !l.task.is_finished());
        self.leaving.extend(gone);
    }

    pub(super) fn is_running(&self, push: &Push) -> bool {
        self.running.iter().any(|r| r.push == *push)
    }

    /// Spawns what pushes until it is told to stop, once all before it have left.
    pub(super) fn start<F>(&mut self, push: &Push, run: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let to = |p: &Push| (p.url.clone(), p.key.clone());
        let same = |l: &&Running| l.push.id == push.id || to(&l.push) == to(push);
        let before = self.leaving.iter().filter(same).map(|l| l.ended.clone());
        let before: Vec<_> = before.collect();
        let (stop, ended) = (CancellationToken::new(), CancellationToken::new());
        let (work, guard) = (run(stop.clone()), ended.clone().drop_guard());
        let task = tokio::spawn(async move {
            let _guard = guard;
            for before in before {
                before.cancelled().await;
            }
            work.await;
        });
        self.running.push(Running {
            push: push.clone(),
            stop,
            ended,
            task,
        });
    }

    pub(super) fn stop(&self) {
        self.running.iter().for_each(|r| r.stop.cancel());
    }

    /// Until all have said goodbye.
    pub(super) async fn finish(self) {
        self.stop();
        let all = self.running.into_iter().chain(self.leaving);
        join_all(all.map(|r| r.task)).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use serde_json::json;
    use tokio::sync::Notify;

    use super::*;
    use crate::runtime::lock;

    /// Far ends, and what came to them.
    #[derive(Debug, Default)]
    struct World {
        tasks: Tasks,
        log: Arc<Mutex<Vec<String>>>,
        /// Lets one goodbye be over.
        goodbye: Arc<Notify>,
    }

    impl World {
        fn follow(&mut self, pushes: &[Push]) {
            self.tasks.keep(pushes);
            for push in pushes {
                if push.is_enabled() && !self.tasks.is_running(push) {
                    let (log, goodbye) = (Arc::clone(&self.log), Arc::clone(&self.goodbye));
                    let id = push.id.clone();
                    self.tasks.start(push, |stop| async move {
                        if stop.is_cancelled() {
                            return;
                        }
                        lock(&log).push(format!("{id} calls"));
                        stop.cancelled().await;
                        goodbye.notified().await;
                        lock(&log).push(format!("{id} has left"));
                    });
                }
            }
        }

        /// What came since the last look.
        async fn news(&self) -> Vec<String> {
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            std::mem::take(&mut *lock(&self.log))
        }
    }

    fn push(id: &str, to: &str) -> Push {
        let of = json!({"id": id, "url": format!("rtmp://h/{to}"), "key": "k"});
        serde_json::from_value(of).unwrap()
    }

    #[tokio::test]
    async fn one_that_comes_back_waits_for_the_goodbye() {
        for back in [push("a", "x"), push("b", "x"), push("a", "y")] {
            let mut world = World::default();
            world.follow(&[push("a", "x")]);
            assert_eq!(world.news().await, ["a calls"]);
            world.follow(&[]);
            world.follow(std::slice::from_ref(&back));
            // Whoever goes there by neither name waits for nobody.
            world.follow(&[back.clone(), push("c", "z")]);
            assert_eq!(world.news().await, ["c calls"]);
            world.goodbye.notify_one();
            assert_eq!(
                world.news().await,
                ["a has left".to_owned(), format!("{} calls", back.id)]
            );
        }
    }

    #[tokio::test]
    async fn one_that_is_switched_off_and_on_waits_too() {
        let mut world = World::default();
        let (on, mut off) = (push("a", "x"), push("a", "x"));
        off.enabled = Some(false);
        world.follow(std::slice::from_ref(&on));
        assert_eq!(world.news().await, ["a calls"]);
        for _ in 0..2 {
            world.follow(std::slice::from_ref(&off));
            world.follow(std::slice::from_ref(&on));
        }
        assert!(world.news().await.is_empty());
        world.goodbye.notify_one();
        assert_eq!(world.news().await, ["a has left", "a calls"]);
        let World { tasks, goodbye, .. } = world;
        goodbye.notify_one();
        tasks.finish().await;
    }
}
