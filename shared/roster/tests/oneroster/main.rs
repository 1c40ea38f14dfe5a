//! OneRoster deliveries in, directory rows and problems out.

mod bad_input;
mod delivery;
mod good_input;
mod refused;
mod samples;
