//! tocsin-runtime
