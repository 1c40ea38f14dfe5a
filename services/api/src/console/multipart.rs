//! Forms with a file (`multipart/form-data`, RFC 7578): the body is in memory, so that its parts are slices of it.

use axum::body::Bytes;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;

/// Parts of a form at most: one to compose a message has one for each school that is chosen.
const PARTS_MAX: usize = 2_000;

/// One field of a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    pub name: String,
    /// Of a file: what it was called. Empty: none was chosen.
    pub file_name: Option<String>,
    pub body: Bytes,
}

/// The parts of a posted form; None: it is no such form, or broke off.
pub(crate) fn parts(headers: &HeaderMap, body: &Bytes) -> Option<Vec<Part>> {
    let boundary = boundary(headers.get(CONTENT_TYPE)?.to_str().ok()?)?;
    let mark = format!("\r\n--{boundary}");
    let first = mark.get(2..)?;
    let mut at = body.strip_prefix(first.as_bytes()).map(|_| first.len())?;
    let mut parts = Vec::new();
    loop {
        let rest = body.get(at..)?;
        if rest.starts_with(b"--") {
            return Some(parts);
        }
        let rest = rest.strip_prefix(b"\r\n")?;
        let begins = at + 2;
        let head_end = find(rest, b"\r\n\r\n")?;
        let content = begins + head_end + 4;
        let length = find(body.get(content..)?, mark.as_bytes())?;
        if parts.len() == PARTS_MAX {
            return None;
        }
        let head = std::str::from_utf8(rest.get(..head_end)?).ok()?;
        parts.push(part(head, body.slice(content..content + length))?);
        at = content + length + mark.len();
    }
}

fn part(head: &str, body: Bytes) -> Option<Part> {
    let disposition = head.split("\r\n").find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.trim().eq_ignore_ascii_case("content-disposition").then_some(value)
    })?;
    Some(Part { name: parameter(disposition, "name")?, file_name: parameter(disposition, "filename"), body })
}

fn boundary(content_type: &str) -> Option<String> {
    let (essence, _) = content_type.split_once(';')?;
    if !essence.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    parameter(content_type, "boundary").filter(|boundary| (1..=70).contains(&boundary.len()))
}

/// `; name="value"` or `; name=value`. Browsers write a quote within a value as `%22`.
fn parameter(of: &str, wanted: &str) -> Option<String> {
    let mut rest = of;
    while let Some((_, after)) = rest.split_once(';') {
        let (name, value) = after.split_once('=')?;
        let (value, behind) = match value.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => value.split_at(value.find(';').unwrap_or(value.len())),
        };
        if name.trim().eq_ignore_ascii_case(wanted) {
            return Some(value.trim().replace("%22", "\""));
        }
        rest = behind;
    }
    None
}

/// Where `wanted` begins. Its first byte is looked for, which is rare in most of a body.
fn find(within: &[u8], wanted: &[u8]) -> Option<usize> {
    let first = *wanted.first()?;
    let mut from = 0;
    while let Some(at) = within.get(from..)?.iter().position(|byte| *byte == first) {
        if within.get(from + at..)?.starts_with(wanted) {
            return Some(from + at);
        }
        from += at + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content_type: &str, body: &'static [u8]) -> Option<Vec<Part>> {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, content_type.parse().unwrap())]);
        parts(&headers, &Bytes::from_static(body))
    }

    const FORM: &[u8] = b"--xY\r\nContent-Disposition: form-data; name=\"strict\"\r\n\r\nyes\r\n--xY\r\n\
        content-disposition: form-data; name=\"file\"; filename=\"a;%22b%22.zip\"\r\nContent-Type: application/zip\r\n\r\n\
        PK\x03\x04\r\n--x\r\n\r\n\x00\r\n--xY--\r\n";

    #[test]
    fn the_parts_of_a_form_are_what_was_typed_and_chosen() {
        for content_type in ["multipart/form-data; boundary=xY", "Multipart/Form-Data; a=b; boundary=\"xY\""]
        {
            let parts = read(content_type, FORM).unwrap();
            assert_eq!((parts[0].name.as_str(), &parts[0].body[..]), ("strict", &b"yes"[..]));
            assert_eq!(parts[0].file_name, None);
            assert_eq!(parts[1].file_name.as_deref(), Some("a;\"b\".zip"));
            assert_eq!(&parts[1].body[..], b"PK\x03\x04\r\n--x\r\n\r\n\x00");
            assert_eq!(parts.len(), 2);
        }
    }

    #[test]
    fn what_is_no_whole_form_is_none() {
        for cut in 0..FORM.len() - 4 {
            assert_eq!(read("multipart/form-data; boundary=xY", &FORM[..cut]), None, "{cut}");
        }
        for content_type in [
            "multipart/form-data",
            "multipart/form-data; boundary=",
            "text/plain; boundary=xY",
            "boundary=xY",
        ] {
            assert_eq!(read(content_type, FORM), None, "{content_type}");
        }
        assert_eq!(read("multipart/form-data; boundary=z", FORM), None);
    }
}
