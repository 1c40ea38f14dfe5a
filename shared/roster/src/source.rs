//! Where the files lie: a folder, or the root of a zip. Both are bounded, as a small zip may unpack
//! to any size; nothing is ever written, so a path in an archive can do no harm.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use zip::ZipArchive;
use zip::result::ZipError;

use crate::error::RosterError;

/// A district of a million students stays below this; larger is a mistake or an attack.
const MAX_FILE_BYTES: u64 = 1 << 30;

/// OneRoster 1.2 knows some 25 files; some vendors add their own.
const MAX_ENTRIES: usize = 1_000;

pub(crate) enum Source {
    Folder(PathBuf),
    Archive(ZipArchive<File>),
}

impl Source {
    pub(crate) fn open(path: &Path) -> Result<Self, RosterError> {
        let open_error = |source| RosterError::Open { path: path.to_owned(), source };
        let metadata = std::fs::metadata(path).map_err(open_error)?;
        if metadata.is_dir() {
            return Ok(Self::Folder(path.to_owned()));
        }
        if metadata.len() > MAX_FILE_BYTES {
            return Err(RosterError::TooLarge {
                file: path.display().to_string(),
                max_bytes: MAX_FILE_BYTES,
            });
        }
        let file = File::open(path).map_err(open_error)?;
        let archive =
            ZipArchive::new(file).map_err(|source| RosterError::NotAZip { path: path.to_owned(), source })?;
        if archive.len() > MAX_ENTRIES {
            return Err(RosterError::TooManyEntries { entries: archive.len(), max: MAX_ENTRIES });
        }
        Ok(Self::Archive(archive))
    }

    pub(crate) fn contains(&self, file: &str) -> bool {
        match self {
            Self::Folder(folder) => folder.join(file).is_file(),
            Self::Archive(archive) => archive.index_for_name(file).is_some(),
        }
    }

    /// The file's bytes without a byte order mark; reading past the size limit is an error that
    /// `read_error` recognises.
    pub(crate) fn reader(&mut self, file: &'static str) -> Result<Box<dyn BufRead + '_>, RosterError> {
        let bytes: Box<dyn Read + '_> = match self {
            Self::Folder(folder) => {
                Box::new(File::open(folder.join(file)).map_err(|source| match source.kind() {
                    io::ErrorKind::NotFound => RosterError::MissingFile { file },
                    _ => RosterError::Read { file, source },
                })?)
            }
            Self::Archive(archive) => Box::new(archive.by_name(file).map_err(|source| match source {
                ZipError::FileNotFound => RosterError::MissingFile { file },
                source => RosterError::Unpack { file, source },
            })?),
        };
        let mut reader = BufReader::with_capacity(64 * 1024, Bounded { inner: bytes, left: MAX_FILE_BYTES });
        skip_byte_order_mark(&mut reader).map_err(|source| read_error(file, source))?;
        Ok(Box::new(reader))
    }
}

pub(crate) fn read_error(file: &'static str, source: io::Error) -> RosterError {
    match source.kind() {
        io::ErrorKind::FileTooLarge => {
            RosterError::TooLarge { file: file.to_owned(), max_bytes: MAX_FILE_BYTES }
        }
        _ => RosterError::Read { file, source },
    }
}

/// Excel writes a UTF-8 byte order mark; taken as text it would spoil the first column's name.
fn skip_byte_order_mark(reader: &mut impl BufRead) -> io::Result<()> {
    const MARK: &[u8] = b"\xef\xbb\xbf";
    if reader.fill_buf()?.starts_with(MARK) {
        reader.consume(MARK.len());
    }
    Ok(())
}

/// Fails where more than `left` bytes come, rather than end early: a cut file would look complete.
struct Bounded<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        match self.left.checked_sub(count as u64) {
            Some(left) => self.left = left,
            None => return Err(io::ErrorKind::FileTooLarge.into()),
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_past_the_limit_is_an_error_not_an_early_end() {
        let mut within = Bounded { inner: &b"12345"[..], left: 5 };
        assert_eq!(io::read_to_string(&mut within).unwrap(), "12345");
        let mut beyond = Bounded { inner: &b"123456"[..], left: 5 };
        let error = io::read_to_string(&mut beyond).unwrap_err();
        assert!(matches!(read_error("users.csv", error), RosterError::TooLarge { .. }));
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_text() {
        for (bytes, text) in [(&b"\xef\xbb\xbfa,b"[..], "a,b"), (b"a,b", "a,b"), (b"", "")] {
            let mut reader = bytes;
            skip_byte_order_mark(&mut reader).unwrap();
            assert_eq!(io::read_to_string(reader).unwrap(), text);
        }
    }
}
