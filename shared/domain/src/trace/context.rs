//! A place in a trace, as W3C Trace Context writes it: `traceparent`, version 00.

use std::fmt;

use super::{SpanId, TraceId};

/// A span, and whether its trace is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Context {
    pub trace: TraceId,
    pub span: SpanId,
    pub sampled: bool,
}

/// Of version 00, and of what a later version begins with.
const CHARS: usize = 55;

impl Context {
    /// None: it is not valid, and its reader begins a trace of its own. A later version is read as far as 00 goes.
    pub fn parse(text: &str) -> Option<Self> {
        let (version, whole) = (text.get(..2)?, text.get(..CHARS)?);
        let more = text.get(CHARS..)?;
        let is_whole = match version {
            "ff" => false,
            "00" => more.is_empty(),
            _ => more.is_empty() || more.starts_with('-'),
        };
        let mut parts = whole.split('-');
        let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        if !is_whole || parts.next().is_some() {
            return None;
        }
        bytes::<1>(version)?;
        let (trace, span, [flags]) = (bytes::<16>(trace)?, bytes::<8>(span)?, bytes::<1>(flags)?);
        let is_valid = trace != [0; 16] && span != [0; 8];
        is_valid.then_some(Self { trace: TraceId(trace), span: SpanId(span), sampled: flags & 1 == 1 })
    }

    /// Of a header that may be given once: twice is as good as not at all.
    pub fn parse_only<'a>(mut values: impl Iterator<Item = &'a str>) -> Option<Self> {
        let only = values.next()?;
        values.next().is_none().then(|| Self::parse(only)).flatten()
    }
}

/// Lower-case hexadecimal digits, exactly so many.
fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N || digits.iter().any(|digit| !matches!(digit, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, at) in bytes.iter_mut().zip((0..).step_by(2)) {
        *byte = u8::from_str_radix(text.get(at..at + 2)?, 16).ok()?;
    }
    Some(bytes)
}

impl fmt::Display for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-{:02x}", self.trace, self.span, u8::from(self.sampled))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALID: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn what_is_written_is_read_again() {
        let read = Context::parse(VALID).unwrap();
        assert_eq!((read.to_string(), read.sampled), (VALID.to_owned(), true));
        let unsampled = Context { sampled: false, ..read };
        assert_eq!(Context::parse(&unsampled.to_string()), Some(unsampled));
        // The flag "random" is not ours to write, and does no harm.
        assert_eq!(Context::parse(&VALID.replace("-01", "-03")), Some(read));
    }

    #[test]
    fn what_the_standard_calls_invalid_is_no_context() {
        let replaced = |from: &str, to: &str| VALID.replacen(from, to, 1);
        let table = [
            String::new(),
            VALID[..54].to_owned(),
            format!("{VALID}-more"),
            replaced("00-", "ff-"),
            replaced("00-", "0x-"),
            VALID.to_uppercase(),
            replaced("4bf92f3577b34da6a3ce929d0e0e4736", "00000000000000000000000000000000"),
            replaced("00f067aa0ba902b7", "0000000000000000"),
            replaced("-01", "-0g"),
            replaced("-01", "_01"),
            replaced("4bf9", "4bf-"),
            format!("{}é", &VALID[..53]),
        ];
        for text in table {
            assert_eq!(Context::parse(&text), None, "{text}");
        }
    }

    #[test]
    fn a_later_version_is_read_as_far_as_it_is_known() {
        let later = VALID.replacen("00-", "cc-", 1);
        assert!(Context::parse(&later).is_some());
        assert!(Context::parse(&format!("{later}-what-comes")).is_some());
        assert_eq!(Context::parse(&format!("{later}.what")), None);
    }

    #[test]
    fn a_header_that_is_given_twice_is_ignored() {
        assert!(Context::parse_only([VALID].into_iter()).is_some());
        assert_eq!(Context::parse_only([VALID, VALID].into_iter()), None);
        assert_eq!(Context::parse_only([].into_iter()), None);
    }
}
