//! The programs that read reports as people do.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// The one that the environment names, else the one on the path.
fn program(variable: &str, name: &str) -> PathBuf {
    std::env::var_os(variable).unwrap_or_else(|| name.into()).into()
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| {
        panic!("{command:?}: {error}; scripts/services run --papers -- cargo test … installs it")
    });
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A PDF's text, laid out as on its pages, which are parted by form feeds.
pub fn text_of_pdf(bytes: &[u8]) -> String {
    let folder = TempDir::new().unwrap();
    let (pdf, text) = (folder.path().join("report.pdf"), folder.path().join("report.txt"));
    std::fs::write(&pdf, bytes).unwrap();
    run(Command::new(program("TOCSIN_TEST_PDFTOTEXT", "pdftotext")).arg("-layout").arg(&pdf).arg(&text));
    std::fs::read_to_string(&text).unwrap()
}

/// A DOCX as LibreOffice reads it: as text, and as a PDF.
pub fn opened_docx(bytes: &[u8]) -> (String, Vec<u8>) {
    let folder = TempDir::new().unwrap();
    let docx = folder.path().join("report.docx");
    std::fs::write(&docx, bytes).unwrap();
    let converted = |to: &str, name: &str| {
        convert(folder.path(), &docx, to);
        std::fs::read(folder.path().join(name)).unwrap()
    };
    let text = converted("txt:Text (encoded):UTF8", "report.txt");
    (String::from_utf8(text).unwrap(), converted("pdf", "report.pdf"))
}

fn convert(folder: &Path, docx: &Path, to: &str) {
    // A profile of its own: two at once would wait for one another.
    let profile = format!("-env:UserInstallation=file://{}", folder.join("profile").display());
    let mut command = Command::new(program("TOCSIN_TEST_SOFFICE", "soffice"));
    run(command.args([&profile, "--headless", "--convert-to", to, "--outdir"]).arg(folder).arg(docx));
}

/// Where files are kept to be looked at, if somebody asked for them.
pub fn keep(name: &str, bytes: &[u8]) {
    if let Some(folder) = std::env::var_os("TOCSIN_TEST_REPORTS") {
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(Path::new(&folder).join(name), bytes).unwrap();
    }
}
