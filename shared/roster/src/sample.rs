//! Sample rosters: a plausible district of any size, the same for the same seed.
//!
//! Names are drawn from lists, mail goes to example.org and its like, and every phone number is in the
//! exchange 555, which has no subscribers. Among the good rows stand a known number of broken ones;
//! the report says what reading the roster must come to. Rows are written as they are drawn: the memory this
//! takes grows with the schools, not with the people.

mod faults;
mod files;
mod households;
mod names;
mod numbers;
mod person;
mod report;
mod schools;

use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::path::Path;

use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::vocabulary::{MANIFEST, OneRosterVersion};
use households::Plan;

pub use faults::Fault;
pub use report::SampleReport;

/// Named, where `StdRng` may change with a release of `rand`: one seed is one sample everywhere.
type Random = rand_chacha::ChaCha12Rng;

#[derive(Debug, Clone, Copy)]
pub struct SampleOptions<'a> {
    /// Exactly so many; guardians and staff come on top, about 1.1 people a student.
    pub students: usize,
    pub seed: u64,
    pub version: OneRosterVersion,
    /// A name that ends in `.zip` makes an archive, any other a folder.
    pub out: &'a Path,
}

/// Writes a sample roster to `options.out`, over what was there.
pub fn generate(options: &SampleOptions<'_>) -> io::Result<SampleReport> {
    let plan = Plan::new(options.students, options.seed);
    let files =
        if is_archive(options.out) { write_zip(&plan, options)? } else { write_folder(&plan, options)? };
    Ok(SampleReport::of(&plan, files))
}

/// Whether a sample written there is one archive.
pub fn is_archive(out: &Path) -> bool {
    out.extension().is_some_and(|extension| extension == "zip")
}

/// Whether a folder holds a sample, of any size and seed, and nothing else.
pub fn is_sample(folder: &Path) -> io::Result<bool> {
    let ours = files::names(OneRosterVersion::V1_2);
    for entry in fs::read_dir(folder)? {
        if !ours.iter().any(|name| entry.as_ref().is_ok_and(|entry| entry.file_name() == *name)) {
            return Ok(false);
        }
    }
    match fs::read_to_string(folder.join(MANIFEST)) {
        Ok(manifest) => Ok(files::is_of_a_sample(&manifest)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

type Written = Vec<(&'static str, u64)>;

/// The manifest comes first, so that a folder in which writing was broken off is known for a sample.
fn write_folder(plan: &Plan, options: &SampleOptions<'_>) -> io::Result<Written> {
    fs::create_dir_all(options.out)?;
    let mut written = Vec::new();
    for file in files::names(options.version) {
        let out = BufWriter::new(File::create(options.out.join(file))?);
        written.push((*file, files::write(file, plan, options.version, out)?));
    }
    Ok(written)
}

fn write_zip(plan: &Plan, options: &SampleOptions<'_>) -> io::Result<Written> {
    let mut archive = ZipWriter::new(BufWriter::new(File::create(options.out)?));
    let mut written = Vec::new();
    for file in files::names(options.version) {
        archive.start_file(*file, SimpleFileOptions::default())?;
        written.push((*file, files::write(file, plan, options.version, &mut archive)?));
    }
    archive.finish()?.into_inner()?.sync_all()?;
    Ok(written)
}
