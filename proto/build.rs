//! Generates the messages from `proto/`. protox compiles them in Rust, so no protoc is needed.

use std::error::Error;

const FILES: [&str; 1] = ["proto/tocsin/v1/queue.proto"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let descriptors = protox::compile(FILES, ["proto"])?;
    prost_build::Config::new()
        // Slices of the received message instead of copies.
        .bytes(["."])
        // An envelope names the message that it could not decode.
        .enable_type_names()
        // Its Debug is written by hand, without the provider's request.
        .skip_debug(["tocsin.v1.RawCallback"])
        .compile_fds(descriptors)?;
    Ok(())
}
