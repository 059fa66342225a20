//! Steps of a long command as progress notifications, where the client asked for them.

use std::pin::Pin;
use std::time::Duration;

use rmcp::RoleServer;
use rmcp::model::{ProgressNotificationParam, ProgressToken};
use rmcp::service::{Peer, RequestContext};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;
use wassette_host::{Progress, Step};

/// How long a client that does not read may hold up an answer by its progress notifications.
const FORWARD_TIMEOUT: Duration = Duration::from_secs(1);

/// Takes steps from a command. Does nothing for a client that did not ask.
#[derive(Debug)]
pub(crate) struct Reporter(Option<UnboundedSender<Note>>);

#[derive(Debug)]
struct Note {
    step: Step,
    done: u32,
    total: u32,
}

impl Progress for Reporter {
    fn report(&self, step: Step, done: u32, total: u32) {
        if let Some(notes) = &self.0 {
            // The request may be over; then nobody waits for its steps.
            drop(notes.send(Note { step, done, total }));
        }
    }
}

/// The way of the reported steps to the client.
pub(crate) struct Forwarding(Option<Pin<Box<dyn Future<Output = ()> + Send>>>);

/// A reporter for the request, and what carries its steps on.
pub(crate) fn reporter(ctx: &RequestContext<RoleServer>) -> (Reporter, Forwarding) {
    let Some(token) = ctx.meta.get_progress_token() else {
        return (Reporter(None), Forwarding(None));
    };
    // Unbounded, because a command has a handful of steps.
    let (sender, notes) = unbounded_channel();
    (
        Reporter(Some(sender)),
        Forwarding(Some(Box::pin(forward(ctx.peer.clone(), token, notes)))),
    )
}

impl Forwarding {
    /// Runs `work`, telling the client of its steps meanwhile.
    pub(crate) async fn alongside<T>(&mut self, work: impl Future<Output = T>) -> T {
        let Some(forward) = &mut self.0 else {
            return work.await;
        };
        let mut work = std::pin::pin!(work);
        tokio::select! {
            biased;
            result = &mut work => result,
            // The client takes no more notifications.
            () = forward => {
                self.0 = None;
                work.await
            }
        }
    }

    /// Waits until all steps are written: none may follow the answer.
    pub(crate) async fn finish(self, reporter: Reporter) {
        drop(reporter);
        if let Some(forward) = self.0 {
            drop(timeout(FORWARD_TIMEOUT, forward).await);
        }
    }
}

async fn forward(peer: Peer<RoleServer>, token: ProgressToken, mut notes: UnboundedReceiver<Note>) {
    let mut last = None;
    while let Some(Note { step, done, total }) = notes.recv().await {
        // The protocol wants each value above the one before.
        if last.is_some_and(|last| done <= last) {
            continue;
        }
        last = Some(done);
        let mut note =
            ProgressNotificationParam::new(token.clone(), f64::from(done)).with_message(step.to_string());
        note.total = (total > 0).then(|| f64::from(total));
        if peer.notify_progress(note).await.is_err() {
            return;
        }
    }
}
