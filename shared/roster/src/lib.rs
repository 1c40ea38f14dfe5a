//! tocsin-roster
