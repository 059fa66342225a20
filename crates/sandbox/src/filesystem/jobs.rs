//! Where calls into the kernel wait: on threads that may block, a bounded number at a time.
//!
//! A system call cannot be stopped. When a call ends while one of its jobs is still in the kernel (a network file
//! system that does not answer), the job goes on alone: it is *lingering*. Its place is free for others at once, but
//! lingering jobs are counted and bounded, so a dead disk costs a known number of threads and never the server.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

/// Jobs that run at the same time for all calls; more wait.
const JOBS_MAX: usize = 64;

/// Jobs whose calls are gone. With one more, file operations fail until some of them end.
const LINGERING_MAX: usize = 64;

/// Runs jobs and knows which of them outlived their calls.
#[derive(Debug)]
pub(crate) struct Jobs {
    places: Arc<Semaphore>,
    lingering: Arc<AtomicUsize>,
}

/// A job could not be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoJob {
    /// Too many are lingering.
    #[error("too many file operations do not end")]
    Busy,
    /// It panicked, or the runtime is shutting down.
    #[error("a file operation failed inside the host")]
    Failed,
}

/// How far a job is.
mod stage {
    pub(super) const WAITING: u8 = 0;
    pub(super) const RUNNING: u8 = 1;
    pub(super) const DONE: u8 = 2;
    pub(super) const ABANDONED: u8 = 3;
}

impl Jobs {
    pub(crate) fn new() -> Self {
        Self {
            places: Arc::new(Semaphore::new(JOBS_MAX)),
            lingering: Arc::default(),
        }
    }

    /// Jobs that are still in the kernel although their calls have ended.
    pub(crate) fn lingering(&self) -> usize {
        self.lingering.load(Ordering::Relaxed)
    }

    /// Runs a job and waits for it. Dropping the future abandons the job.
    pub(crate) async fn run<T, F>(&self, job: F) -> Result<T, NoJob>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let waiting = Arc::clone(&self.places).acquire_owned();
        let place = waiting.await.map_err(|_closed| NoJob::Failed)?;
        let mut running = self.start(job)?;
        let result = (&mut running).await;
        drop((running, place));
        result
    }

    /// Starts a job without waiting, beyond the number of places: streams have at most one each, and their number
    /// is bounded by the call's resources.
    pub(crate) fn start<T, F>(&self, job: F) -> Result<Running<T>, NoJob>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        if self.lingering() >= LINGERING_MAX {
            tracing::warn!(
                lingering = self.lingering(),
                "too many file operations do not end"
            );
            return Err(NoJob::Busy);
        }
        let stage = Arc::new(AtomicU8::new(stage::WAITING));
        let (at, lingering) = (Arc::clone(&stage), Arc::clone(&self.lingering));
        let handle = tokio::task::spawn_blocking(move || {
            let begun = at.compare_exchange(
                stage::WAITING,
                stage::RUNNING,
                Ordering::AcqRel,
                Ordering::Acquire,
            );
            let result = begun.ok().map(|_waiting| job());
            if at.swap(stage::DONE, Ordering::AcqRel) == stage::ABANDONED && result.is_some() {
                lingering.fetch_sub(1, Ordering::Relaxed);
            }
            result
        });
        Ok(Running {
            handle,
            stage,
            lingering: Arc::clone(&self.lingering),
        })
    }
}

/// A job that was started. Dropping it abandons the job: before it began it never will, afterwards it lingers.
#[derive(Debug)]
pub(crate) struct Running<T> {
    handle: JoinHandle<Option<T>>,
    stage: Arc<AtomicU8>,
    lingering: Arc<AtomicUsize>,
}

impl<T> Future for Running<T> {
    type Output = Result<T, NoJob>;

    fn poll(mut self: std::pin::Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let joined = std::pin::Pin::new(&mut self.handle).poll(cx);
        joined.map(|joined| joined.ok().flatten().ok_or(NoJob::Failed))
    }
}

impl<T> Drop for Running<T> {
    fn drop(&mut self) {
        // Counted before it is marked, so that the job cannot take back what was not counted yet.
        let lingering = self.lingering.fetch_add(1, Ordering::Relaxed) + 1;
        if self.stage.swap(stage::ABANDONED, Ordering::AcqRel) == stage::RUNNING {
            tracing::warn!(lingering, "a file operation outlives its call");
        } else {
            self.lingering.fetch_sub(1, Ordering::Relaxed);
            self.handle.abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::time::Duration;

    async fn until(what: impl Fn() -> bool) {
        for _ in 0..500 {
            if what() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("it did not happen");
    }

    #[tokio::test]
    async fn a_job_that_outlives_its_call_is_counted_until_it_ends() {
        let jobs = Jobs::new();
        let (begun, has_begun) = mpsc::channel();
        let (end, may_end) = mpsc::channel::<()>();
        let job = jobs.run(move || {
            begun.send(()).expect("a listener");
            may_end.recv().expect("an end");
        });
        let outcome = tokio::time::timeout(Duration::from_millis(200), job).await;
        assert!(outcome.is_err(), "the job does not end");
        has_begun.recv().expect("it began");
        assert_eq!(jobs.lingering(), 1);
        assert_eq!(jobs.places.available_permits(), JOBS_MAX, "its place is free");
        end.send(()).expect("the job listens");
        until(|| jobs.lingering() == 0).await;
    }

    #[tokio::test]
    async fn a_job_that_ended_does_not_linger() {
        let jobs = Jobs::new();
        assert_eq!(jobs.run(|| 7).await, Ok(7));
        assert_eq!(jobs.lingering(), 0);
    }

    #[tokio::test]
    async fn when_all_linger_the_next_fails_at_once_and_works_again_later() {
        let jobs = Jobs::new();
        let (end, may_end) = mpsc::channel::<()>();
        let may_end = Arc::new(std::sync::Mutex::new(may_end));
        let begun = Arc::new(AtomicUsize::new(0));
        let mut stuck = Vec::new();
        for _ in 0..LINGERING_MAX {
            let (may_end, begun) = (Arc::clone(&may_end), Arc::clone(&begun));
            let job = move || {
                begun.fetch_add(1, Ordering::Relaxed);
                let _ended = may_end.lock().map(|may_end| may_end.recv());
            };
            stuck.push(jobs.start(job).expect("a job"));
        }
        until(|| begun.load(Ordering::Relaxed) == LINGERING_MAX).await;
        drop(stuck);
        assert_eq!(jobs.lingering(), LINGERING_MAX);
        assert_eq!(jobs.run(|| ()).await, Err(NoJob::Busy));
        drop(end);
        until(|| jobs.lingering() == 0).await;
        assert_eq!(jobs.run(|| ()).await, Ok(()));
    }
}
