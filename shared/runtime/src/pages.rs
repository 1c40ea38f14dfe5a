//! Pages of docs/ that are written from the code.

use std::path::Path;

/// With it set, pages are written instead of compared.
const WRITE: &str = "TOCSIN_TEST_WRITE_PAGES";

/// Holds a page, named from the repository's root, to what it should say.
pub fn hold(page: &Path, should: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(page);
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(&path, should).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = found.lines().zip(should.lines()).find(|(found, should)| found != should);
    assert!(
        found == should,
        "{} is not what the code says (first difference: {differs:?}): write it anew with `{WRITE}=1 cargo test -p \
         tocsin-runtime --lib` and look at what changed",
        page.display()
    );
}
