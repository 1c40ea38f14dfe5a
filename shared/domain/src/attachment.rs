//! Files that emails and inbox messages carry: how many, how large, of what kind, under what name
//! (docs/adr/0049-attachments.md).

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Bytes of one file.
pub const FILE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Bytes of all files of a message. In a mail they are a third longer, and mailboxes take 20 to 25 MB.
pub const MESSAGE_BYTES_MAX: usize = 12 * 1024 * 1024;
pub const FILES_MAX: usize = 5;
pub const NAME_CHARS_MAX: usize = 100;

/// What may be attached, by the end of its name, and what a file of the kind begins with. Whatever runs when it is
/// opened is left out, so are pages and pictures with scripts.
const KINDS: [Kind; 15] = [
    Kind::new("pdf", "application/pdf", Begins::With(b"%PDF-")),
    Kind::new("png", "image/png", Begins::With(b"\x89PNG\r\n\x1a\n")),
    Kind::new("jpg", "image/jpeg", Begins::With(b"\xff\xd8\xff")),
    Kind::new("jpeg", "image/jpeg", Begins::With(b"\xff\xd8\xff")),
    Kind::new("gif", "image/gif", Begins::With(b"GIF8")),
    Kind::new(
        "docx",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        Begins::Package("word/"),
    ),
    Kind::new(
        "xlsx",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        Begins::Package("xl/"),
    ),
    Kind::new(
        "pptx",
        "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        Begins::Package("ppt/"),
    ),
    Kind::new("odt", "application/vnd.oasis.opendocument.text", Begins::Document),
    Kind::new("ods", "application/vnd.oasis.opendocument.spreadsheet", Begins::Document),
    Kind::new("odp", "application/vnd.oasis.opendocument.presentation", Begins::Document),
    Kind::new("txt", "text/plain", Begins::Text(b"")),
    Kind::new("csv", "text/csv", Begins::Text(b"")),
    Kind::new("ics", "text/calendar", Begins::Text(b"BEGIN:VCALENDAR")),
    Kind::new("mp3", "audio/mpeg", Begins::Sound),
];

/// How a file of a kind begins.
#[derive(Debug, Clone, Copy)]
enum Begins {
    With(&'static [u8]),
    /// So, and with nothing that no text holds: what is another kind in disguise is told by it.
    Text(&'static [u8]),
    /// An Open XML package (ECMA-376): a zip whose first entry is one of every package, or in this folder.
    Package(&'static str),
    /// An OpenDocument (part 2, 3.3): a zip whose first entry is `mimetype`, stored as it is, and says the kind.
    Document,
    /// MPEG audio: with a tag (ID3), or at once with a frame.
    Sound,
}

/// Of every Open XML package one of these comes first, if not what is in its own folder.
const OF_PACKAGES: [&str; 4] = ["[Content_Types].xml", "_rels/", "docProps/", "customXml/"];

/// The name of a zip's first entry, and what stands behind it.
fn first_entry(zip: &[u8]) -> Option<(&[u8], &[u8])> {
    const HEADER_BYTES: usize = 30;
    let header = zip.get(..HEADER_BYTES)?;
    if !header.starts_with(b"PK\x03\x04") {
        return None;
    }
    let length = |at: usize| usize::from(u16::from_le_bytes([header[at], header[at + 1]]));
    let name_ends = HEADER_BYTES + length(26);
    Some((zip.get(HEADER_BYTES..name_ends)?, zip.get(name_ends + length(28)..)?))
}

/// Of all kinds of files.
pub const MEDIA_TYPES: [&str; KINDS.len()] = {
    let mut all = [""; KINDS.len()];
    let mut nth = 0;
    while nth < KINDS.len() {
        all[nth] = KINDS[nth].media_type;
        nth += 1;
    }
    all
};

#[derive(Debug, Clone, Copy)]
struct Kind {
    ending: &'static str,
    media_type: &'static str,
    begins: Begins,
}

impl Kind {
    const fn new(ending: &'static str, media_type: &'static str, begins: Begins) -> Self {
        Self { ending, media_type, begins }
    }

    fn fits(&self, beginning: &[u8]) -> bool {
        match self.begins {
            Begins::With(bytes) => beginning.starts_with(bytes),
            Begins::Text(bytes) => beginning.starts_with(bytes) && !beginning.contains(&0),
            Begins::Package(folder) => first_entry(beginning).is_some_and(|(name, _)| {
                OF_PACKAGES.iter().chain([&folder]).any(|known| name.starts_with(known.as_bytes()))
            }),
            Begins::Document => first_entry(beginning).is_some_and(|(name, content)| {
                name == b"mimetype" && content.starts_with(self.media_type.as_bytes())
            }),
            Begins::Sound => {
                beginning.starts_with(b"ID3")
                    || matches!(beginning, [0xff, second, ..] if second & 0xe0 == 0xe0)
            }
        }
    }
}

/// A file of a message. Its bytes are the store's.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    pub id: Uuid,
    pub name: String,
    pub media_type: String,
    pub bytes: u32,
}

/// Why a file cannot be attached.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AttachmentError {
    #[error("the file has no name: give one with its ending, as flyer.pdf")]
    NoName,
    #[error("no file of this kind can be attached: take one that ends with {}", endings())]
    Kind,
    #[error("the file is no {0}, whatever its name says: attach the file itself")]
    Content(&'static str),
    #[error("the file is empty")]
    Empty,
    #[error("the file has more than {FILE_BYTES_MAX} bytes: attach a smaller one, or link to it")]
    TooLarge,
}

fn endings() -> String {
    KINDS.map(|kind| kind.ending).join(", ")
}

/// A name that no mail program or browser takes for a path, another header or another kind of file, with its kind.
pub fn named(name: &str) -> Result<(String, &'static str), AttachmentError> {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let plain: String = last.chars().filter(|c| !is_left_out(*c)).collect();
    let plain = plain.trim_matches(|c: char| c.is_whitespace() || c == '.');
    let (stem, ending) = match plain.rsplit_once('.') {
        Some((stem, ending)) if !stem.trim().is_empty() => (stem.trim(), ending.trim().to_ascii_lowercase()),
        Some(_) => return Err(AttachmentError::NoName),
        None if plain.is_empty() => return Err(AttachmentError::NoName),
        None => return Err(AttachmentError::Kind),
    };
    let kind = KINDS.iter().find(|kind| kind.ending == ending).ok_or(AttachmentError::Kind)?;
    let stem: String = stem.chars().take(NAME_CHARS_MAX - ending.len() - 1).collect();
    Ok((format!("{}.{ending}", stem.trim_end()), kind.media_type))
}

/// Control characters, what has a meaning in headers, paths or pages, and what turns the direction of writing, by which
/// `gpj.exe` is made to read `exe.jpg`.
fn is_left_out(c: char) -> bool {
    c.is_control()
        || matches!(c, '"' | '\'' | '<' | '>' | '|' | ':' | '*' | '?' | ';' | '%' | '&' | '\u{FEFF}')
        || matches!(c, '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{2069}')
}

/// Does a file of this name begin as its kind does?
pub fn check_beginning(name: &str, beginning: &[u8]) -> Result<(), AttachmentError> {
    let ending = name.rsplit('.').next().unwrap_or_default();
    let kind = KINDS.iter().find(|kind| kind.ending == ending).ok_or(AttachmentError::Kind)?;
    if beginning.is_empty() {
        return Err(AttachmentError::Empty);
    }
    if kind.fits(beginning) { Ok(()) } else { Err(AttachmentError::Content(kind.ending)) }
}

/// How much it is, for people.
pub fn size_in_words(bytes: u32) -> String {
    match bytes {
        ..1024 => format!("{bytes} bytes"),
        1024..1_048_576 => format!("{} KB", bytes.div_ceil(1024)),
        _ => format!("{:.1} MB", f64::from(bytes) / 1_048_576.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_made_harmless_and_keeps_its_kind() {
        let table = [
            ("flyer.pdf", "flyer.pdf", "application/pdf"),
            ("Flyer Mai.PDF", "Flyer Mai.pdf", "application/pdf"),
            ("../../etc/Plan.docx", "Plan.docx", KINDS[5].media_type),
            ("C:\\Users\\ann\\bus\r\nX: y.png", "busX y.png", "image/png"),
            ("a\"b;c.txt", "abc.txt", "text/plain"),
            ("harmless\u{202E}fdp.jpg", "harmlessfdp.jpg", "image/jpeg"),
            ("  ..menu.csv. ", "menu.csv", "text/csv"),
            ("Żółw 日本.pdf", "Żółw 日本.pdf", "application/pdf"),
        ];
        for (given, name, media_type) in table {
            assert_eq!(named(given), Ok((name.to_owned(), media_type)), "{given:?}");
        }
        let long = format!("{}.pdf", "x".repeat(400));
        assert_eq!(named(&long).unwrap().0.chars().count(), NAME_CHARS_MAX);
    }

    #[test]
    fn what_runs_when_it_is_opened_is_no_attachment() {
        for name in ["a.exe", "a.html", "a.svg", "a.pdf.js", "a.docm", "pdf", "a.pdf/b", "x.zip"] {
            assert_eq!(named(name), Err(AttachmentError::Kind), "{name}");
        }
        for name in ["", "   ", "...", ".pdf", "/"] {
            assert!(named(name).is_err(), "{name}");
        }
        assert_eq!(named(""), Err(AttachmentError::NoName));
    }

    /// A zip whose first entry has this name and these bytes, stored as they are.
    fn zip(name: &str, content: &str) -> Vec<u8> {
        let mut zip = b"PK\x03\x04".to_vec();
        zip.resize(26, 0);
        zip.extend(u16::try_from(name.len()).unwrap().to_le_bytes());
        zip.extend([0, 0]);
        zip.extend(name.bytes().chain(content.bytes()));
        zip
    }

    #[test]
    fn a_file_begins_as_its_kind_does() {
        let odt = "application/vnd.oasis.opendocument.text";
        let good: [(&str, Vec<u8>); 11] = [
            ("a.pdf", b"%PDF-1.7\n".to_vec()),
            ("a.jpg", b"\xff\xd8\xff\xe0".to_vec()),
            ("a.docx", zip("[Content_Types].xml", "x")),
            ("a.docx", zip("word/document.xml", "x")),
            ("a.xlsx", zip("_rels/.rels", "x")),
            ("a.pptx", zip("docProps/app.xml", "x")),
            ("a.odt", zip("mimetype", odt)),
            ("a.txt", "Žluťoučký".as_bytes().to_vec()),
            ("a.ics", b"BEGIN:VCALENDAR\r\n".to_vec()),
            ("a.mp3", b"ID3\x04".to_vec()),
            ("a.mp3", b"\xff\xfb\x90".to_vec()),
        ];
        for (name, bytes) in good {
            assert_eq!(check_beginning(name, &bytes), Ok(()), "{name} {bytes:?}");
        }
        let bad: [(&str, Vec<u8>); 14] = [
            ("a.pdf", b"MZ\x90".to_vec()),
            ("a.png", b"<svg".to_vec()),
            ("a.docx", b"%PDF-".to_vec()),
            ("a.docx", b"PK\x03\x04".to_vec()),
            ("a.docx", zip("META-INF/MANIFEST.MF", "x")),
            ("a.docx", zip("xl/workbook.xml", "x")),
            ("a.xlsx", zip("evil.exe", "x")),
            ("a.odt", zip("[Content_Types].xml", odt)),
            ("a.ods", zip("mimetype", odt)),
            ("a.txt", b"MZ\x90\x00".to_vec()),
            ("a.ics", b"<html>".to_vec()),
            ("a.mp3", b"MZ\x90".to_vec()),
            ("a.mp3", b"<html>".to_vec()),
            ("a.mp3", b"\xff".to_vec()),
        ];
        let mut taken = Vec::new();
        for (name, bytes) in bad {
            if !matches!(check_beginning(name, &bytes), Err(AttachmentError::Content(_))) {
                taken.push((name, bytes));
            }
        }
        assert!(taken.is_empty(), "{taken:?}");
        assert_eq!(check_beginning("a.txt", b""), Err(AttachmentError::Empty));
    }

    #[test]
    fn sizes_are_told_as_people_tell_them() {
        for (bytes, words) in [(7, "7 bytes"), (1024, "1 KB"), (1500, "2 KB"), (2_621_440, "2.5 MB")] {
            assert_eq!(size_in_words(bytes), words);
        }
    }
}
