//! tocsin-status-collector
