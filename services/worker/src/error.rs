//! Why a step of the worker failed. It is tried again.

#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    #[error(transparent)]
    Store(#[from] tocsin_store::StoreError),
    #[error(transparent)]
    Queue(#[from] tocsin_queue::QueueError),
}

/// For [`tocsin_runtime::retry`]: an outage of the store is waited for, every other failure is an answer.
pub(crate) fn outage_apart(done: Result<(), WorkerError>) -> Result<Result<(), WorkerError>, WorkerError> {
    match done {
        Err(WorkerError::Store(error)) if error.is_outage() => Err(error.into()),
        done => Ok(done),
    }
}
