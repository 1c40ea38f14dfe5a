//! Sample rosters: a plausible district of any size, the same for the same seed.
//!
//! Names are drawn from lists, mail goes to example.org and its like, and every phone number is in the
//! exchange 555, which has no subscribers. Among the good rows stand a known number of broken ones;
//! the report says what reading the roster must come to.

mod district;
mod faults;
mod files;
mod names;
mod numbers;

use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::path::Path;

use rand::SeedableRng;
use rand::rngs::StdRng;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::vocabulary::OneRosterVersion;

pub use faults::Fault;

#[derive(Debug, Clone, Copy)]
pub struct SampleOptions<'a> {
    /// Exactly so many; guardians and staff come on top, about 1.1 people a student.
    pub students: usize,
    pub seed: u64,
    pub version: OneRosterVersion,
    /// A name that ends in `.zip` makes an archive, any other a folder.
    pub out: &'a Path,
}

/// What `read` must make of the sample: the rows of each kind, and the problems.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SampleReport {
    /// All organisations, the district itself among them.
    pub schools: usize,
    pub people: usize,
    pub students: usize,
    /// Pairs of student and contact.
    pub contacts: usize,
    pub voice: usize,
    pub sms: usize,
    pub email: usize,
    pub inbox: usize,
    /// People without any device.
    pub without_device: usize,
    pub errors: usize,
    pub warnings: usize,
    /// The broken rows by what is wrong with them; each is one problem.
    pub faults: Vec<(Fault, usize)>,
}

/// Writes a sample roster to `options.out`, over what was there.
pub fn generate(options: &SampleOptions<'_>) -> io::Result<SampleReport> {
    let mut random = StdRng::seed_from_u64(options.seed);
    let mut district = district::plan(options.students, &mut random);
    faults::spread(&mut district, &mut random);
    if options.out.extension().is_some_and(|extension| extension == "zip") {
        write_zip(&district, options)?;
    } else {
        write_folder(&district, options)?;
    }
    Ok(district.report())
}

fn write_folder(district: &district::District, options: &SampleOptions<'_>) -> io::Result<()> {
    fs::create_dir_all(options.out)?;
    for file in files::names(options.version) {
        let out = BufWriter::new(File::create(options.out.join(file))?);
        files::write(file, district, options.version, out)?;
    }
    Ok(())
}

fn write_zip(district: &district::District, options: &SampleOptions<'_>) -> io::Result<()> {
    let mut archive = ZipWriter::new(BufWriter::new(File::create(options.out)?));
    for file in files::names(options.version) {
        archive.start_file(*file, SimpleFileOptions::default())?;
        files::write(file, district, options.version, &mut archive)?;
    }
    archive.finish()?.into_inner()?.sync_all()
}
