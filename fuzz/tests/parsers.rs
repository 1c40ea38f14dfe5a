//! A little of `make fuzz` with every test: always the same inputs, as many as take about a second in all.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a broken expectation fails the test")]

use fuzz::{Mutator, Target, seeds, survives, targets};

const INPUTS: usize = 2_000;

#[test]
fn no_parser_panics_on_a_capture_or_a_changed_one() {
    let mut broken = Vec::new();
    for target in targets().unwrap() {
        let seeds = seeds(target.name).unwrap();
        let mut mutator = Mutator::new(1, seeds.clone());
        let changed = (0..INPUTS).map(|_| mutator.next_input());
        let first = seeds.into_iter().chain(changed).find(|input| !survives(&target, input));
        broken.extend(first.map(|input| format!("{}: {:?}", target.name, String::from_utf8_lossy(&input))));
    }
    assert_eq!(broken, Vec::<String>::new());
}

/// Inputs that no longer reach what they are for would find nothing, and look well.
#[test]
fn a_parser_that_panics_deep_inside_is_found_out() {
    let run = |input: &[u8]| {
        let text = String::from_utf8_lossy(input);
        assert!(
            !(text.contains("CallStatus=") && text.contains("9223372036854775808")),
            "a number too large"
        );
    };
    let target = Target { name: "twilio-voice", run: Box::new(run) };
    let mut mutator = Mutator::new(1, seeds(target.name).unwrap());
    assert!((0..INPUTS).any(|_| !survives(&target, &mutator.next_input())));
}

#[test]
fn every_folder_of_the_corpus_belongs_to_a_parser() {
    let names: Vec<&str> = targets().unwrap().iter().map(|target| target.name).collect();
    for entry in std::fs::read_dir(fuzz::folder("")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(names.contains(&name.as_str()), "{name}");
    }
}
