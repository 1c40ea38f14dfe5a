//! tocsin-worker
