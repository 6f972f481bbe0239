//! The one place where something asynchronous happens: a thread that drives what `object_store`
//! does, while whoever asks waits. Nobody ever waits without a bound.

use super::failure::Failure;
use std::future::Future;
use std::sync::mpsc::sync_channel;
use std::time::Duration;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// A runtime on a thread of its own, which ends with this value.
pub(super) struct Driver {
    handle: Handle,
    timeout: Duration,
    /// Dropping it ends the thread.
    _stop: oneshot::Sender<()>,
}

impl Driver {
    /// Starts the thread. No operation takes longer than `timeout`.
    pub fn start(timeout: Duration) -> std::io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        std::thread::Builder::new().name("remote-store".to_owned()).spawn(move || {
            // An error means that the sender is gone, which is what is waited for.
            drop(runtime.block_on(stopped));
            runtime.shutdown_background();
        })?;
        Ok(Self { handle, timeout, _stop: stop })
    }

    /// Waits for an operation, at most as long as one may take. One that takes longer is dropped;
    /// what it has done by then is unknown.
    pub fn run<T: Send + 'static>(
        &self,
        operation: impl Future<Output = object_store::Result<T>> + Send + 'static,
    ) -> Result<T, Failure> {
        let (sender, receiver) = sync_channel(1);
        let timeout = self.timeout;
        // Not `block_on`, which would panic on a thread that drives another runtime.
        self.handle.spawn(async move {
            let outcome = tokio::time::timeout(timeout, operation).await;
            // The receiver waits until it has an answer.
            drop(sender.send(outcome));
        });
        match receiver.recv() {
            Ok(Ok(outcome)) => outcome.map_err(Failure::Store),
            Ok(Err(_)) => Err(Failure::Timeout(timeout)),
            Err(_) => Err(Failure::Ended),
        }
    }
}
