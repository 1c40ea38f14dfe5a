//! tocsin-providers
