//! Why a tick failed. It is tried again.

/// The operation that failed says so itself.
#[derive(Debug, thiserror::Error)]
pub enum PlannerError {
    #[error(transparent)]
    Store(#[from] tocsin_store::StoreError),
    #[error(transparent)]
    Queue(#[from] tocsin_queue::QueueError),
    #[error(transparent)]
    Webhooks(#[from] tocsin_webhooks::WebhooksError),
}
