//! Why a step of the worker failed. It is tried again.

#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    #[error(transparent)]
    Store(#[from] tocsin_store::StoreError),
    #[error(transparent)]
    Queue(#[from] tocsin_queue::QueueError),
}
