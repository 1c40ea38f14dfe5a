//! tocsin-planner
