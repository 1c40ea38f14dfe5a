//! Where the files lie: a folder, or the root of a zip. Both are bounded, as a small zip may unpack
//! to any size; nothing is ever written, so a path in an archive can do no harm.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read, Seek};
use std::path::{Path, PathBuf};

use zip::ZipArchive;
use zip::result::ZipError;

use crate::error::RosterError;

/// A district of a million students stays below this; larger is a mistake or an attack.
const MAX_FILE_BYTES: u64 = 1 << 30;

/// What all files of an archive may come to: of one on this machine, and of one that was sent.
const MAX_TOTAL_BYTES: u64 = 2 << 30;
const MAX_SENT_BYTES: u64 = 512 << 20;

/// A roster packs to a fifth or a twentieth; a file that is a bomb, to a thousandth.
const MAX_RATIO: u64 = 200;

/// A file smaller than this does no harm, however well it is packed.
const RATIO_FROM_BYTES: u64 = 4 << 20;

/// OneRoster 1.2 knows some 25 files; some vendors add their own.
const MAX_ENTRIES: usize = 1_000;

pub(crate) enum Source {
    Folder(PathBuf),
    Archive { archive: ZipArchive<Box<dyn Packed>>, left: u64 },
}

/// What an archive may be read from.
pub(crate) trait Packed: Read + Seek + Send {}

impl<T: Read + Seek + Send> Packed for T {}

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
        Self::of_packed(Box::new(file), path, MAX_TOTAL_BYTES)
    }

    /// A zip in memory.
    pub(crate) fn of_zip(zip: Vec<u8>) -> Result<Self, RosterError> {
        Self::of_packed(Box::new(Cursor::new(zip)), Path::new("that was sent"), MAX_SENT_BYTES)
    }

    fn of_packed(packed: Box<dyn Packed>, path: &Path, left: u64) -> Result<Self, RosterError> {
        let archive = ZipArchive::new(packed)
            .map_err(|source| RosterError::NotAZip { path: path.to_owned(), source })?;
        if archive.len() > MAX_ENTRIES {
            return Err(RosterError::TooManyEntries { entries: archive.len(), max: MAX_ENTRIES });
        }
        Ok(Self::Archive { archive, left })
    }

    pub(crate) fn contains(&self, file: &str) -> bool {
        match self {
            Self::Folder(folder) => folder.join(file).is_file(),
            Self::Archive { archive, .. } => archive.index_for_name(file).is_some(),
        }
    }

    /// The file's bytes without a byte order mark; reading past the size limit is an error that
    /// `read_error` recognises.
    pub(crate) fn reader(&mut self, file: &'static str) -> Result<Box<dyn BufRead + '_>, RosterError> {
        let bounded = match self {
            Self::Folder(folder) => {
                let file = File::open(folder.join(file)).map_err(|source| match source.kind() {
                    io::ErrorKind::NotFound => RosterError::MissingFile { file },
                    _ => RosterError::Read { file, source },
                })?;
                let inner: Box<dyn Read + '_> = Box::new(file);
                Bounded { inner, left: MAX_FILE_BYTES, left_by_ratio: u64::MAX, total: None }
            }
            Self::Archive { archive, left } => {
                let inner = archive.by_name(file).map_err(|source| match source {
                    ZipError::FileNotFound => RosterError::MissingFile { file },
                    source => RosterError::Unpack { file, source },
                })?;
                // What the archive says of the size it unpacks to is not believed: the bytes are counted.
                let by_ratio = inner.compressed_size().saturating_mul(MAX_RATIO).max(RATIO_FROM_BYTES);
                Bounded {
                    inner: Box::new(inner) as Box<dyn Read + '_>,
                    left: MAX_FILE_BYTES,
                    left_by_ratio: by_ratio,
                    total: Some(left),
                }
            }
        };
        let mut reader = BufReader::with_capacity(64 * 1024, bounded);
        skip_byte_order_mark(&mut reader).map_err(|source| read_error(file, source))?;
        Ok(Box::new(reader))
    }
}

pub(crate) fn read_error(file: &'static str, source: io::Error) -> RosterError {
    match source.kind() {
        io::ErrorKind::FileTooLarge => {
            RosterError::TooLarge { file: file.to_owned(), max_bytes: MAX_FILE_BYTES }
        }
        io::ErrorKind::QuotaExceeded => RosterError::Bomb { file, max_ratio: MAX_RATIO },
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
struct Bounded<'a, R> {
    inner: R,
    left: u64,
    left_by_ratio: u64,
    /// Of all files of the archive.
    total: Option<&'a mut u64>,
}

impl<R: Read> Read for Bounded<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        let taken = |left: u64, kind: io::ErrorKind| left.checked_sub(count as u64).ok_or(kind);
        self.left_by_ratio = taken(self.left_by_ratio, io::ErrorKind::QuotaExceeded)?;
        self.left = taken(self.left, io::ErrorKind::FileTooLarge)?;
        if let Some(total) = &mut self.total {
            **total = taken(**total, io::ErrorKind::FileTooLarge)?;
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_past_the_limit_is_an_error_not_an_early_end() {
        fn bounded<'a>(
            bytes: &'a [u8],
            left_by_ratio: u64,
            total: Option<&'a mut u64>,
        ) -> Bounded<'a, &'a [u8]> {
            Bounded { inner: bytes, left: 5, left_by_ratio, total }
        }
        assert_eq!(io::read_to_string(&mut bounded(b"12345", 5, None)).unwrap(), "12345");
        let error =
            |mut it: Bounded<'_, &[u8]>| read_error("users.csv", io::read_to_string(&mut it).unwrap_err());
        assert!(matches!(error(bounded(b"123456", 9, None)), RosterError::TooLarge { .. }));
        assert!(matches!(error(bounded(b"12345", 4, None)), RosterError::Bomb { .. }));
        assert!(matches!(error(bounded(b"12345", 9, Some(&mut 4))), RosterError::TooLarge { .. }));
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
