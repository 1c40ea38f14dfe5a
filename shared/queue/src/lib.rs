//! tocsin-queue
