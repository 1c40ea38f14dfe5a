//! DOCX, opened by LibreOffice.

use std::io::{Cursor, Read as _};

use tocsin_reports::{Format, Report};

use crate::papers::{keep, opened_docx, text_of_pdf};
use crate::sample::{all, bytes, report, rows};

#[test]
fn libreoffice_opens_it_and_finds_every_part() {
    let rows = rows();
    let docx = bytes(&report(all(), &rows), Format::Docx, &rows, 3);
    keep("sample.docx", &docx);
    let (text, pdf) = opened_docx(&docx);
    keep("sample-docx.pdf", &pdf);
    for wanted in [
        "Sent Message Report",
        "School is cancelled",
        "Total Text Messages Attempted",
        "Hôm nay trường nghỉ học vì thời tiết xấu.",
        "Nguyễn Thị Hương",
        "Жанна Иванова *",
        "محمد علي",
        "王小明 😀 *",
        "Voice: +15551230001 †",
        "Ola & <Co> *",
        "Nils \"N\" Co",
        "no guarantee that the recipient has retrieved it",
    ] {
        assert!(text.contains(wanted), "{wanted}\n{text}");
    }
    let pages = text_of_pdf(&pdf);
    assert!(pages.contains("Page 1 of") && pages.contains("Message 1042"), "{pages}");
}

/// What Word insists on: every part has a type, every relationship a part, every row as many cells as the grid.
#[test]
fn its_parts_are_what_word_needs() {
    let rows = rows();
    let docx = bytes(&report(all(), &rows), Format::Docx, &rows, 3);
    let mut zip = zip::ZipArchive::new(Cursor::new(docx)).unwrap();
    let names: Vec<String> = zip.file_names().map(str::to_owned).collect();
    let mut part = |name: &str| {
        let mut text = String::new();
        zip.by_name(name).unwrap().read_to_string(&mut text).unwrap();
        text
    };
    let types = part("[Content_Types].xml");
    for name in names.iter().filter(|name| !name.ends_with(".rels") && *name != "[Content_Types].xml") {
        assert!(types.contains(&format!("PartName=\"/{name}\"")), "{name} has no type");
    }
    let document = part("word/document.xml");
    for table in document.split("<w:tbl>").skip(1) {
        let columns = table.matches("<w:gridCol").count();
        for row in table.split("</w:tbl>").next().unwrap().split("<w:tr>").skip(1) {
            assert_eq!(row.matches("<w:tc>").count(), columns, "{row}");
        }
        // A table must not end the body, nor touch the next one.
        assert!(table.split("</w:tbl>").nth(1).unwrap().starts_with("<w:p>"));
    }
    let styles = part("word/styles.xml");
    for used in document.split("<w:pStyle w:val=\"").skip(1).filter_map(|rest| rest.split('"').next()) {
        assert!(styles.contains(&format!("w:styleId=\"{used}\"")), "{used} is no style");
    }
    for xml in [&document, &styles, &part("word/footer1.xml"), &part("docProps/core.xml")] {
        let mut open = Vec::new();
        for tag in xml.split('<').skip(1).filter(|tag| !tag.starts_with('?')) {
            let name = tag.trim_start_matches('/').split([' ', '>', '/']).next().unwrap();
            if tag.starts_with('/') {
                assert_eq!(open.pop(), Some(name), "{tag}");
            } else if !tag.split('>').next().unwrap().ends_with('/') {
                open.push(name);
            }
        }
        assert!(open.is_empty(), "{open:?} are not closed");
    }
}

#[test]
fn the_report_of_a_test_says_so_at_its_head() {
    let rows = rows();
    for (test, title) in [(false, "Sent Message Report\n"), (true, "Sent Message Report of a Test\n")] {
        let report = Report { test, ..report(all(), &rows) };
        let (text, _) = opened_docx(&bytes(&report, Format::Docx, &rows, 100));
        let text = text.replace("\r\n", "\n");
        assert!(text.trim_start_matches(['\u{feff}', '\n']).starts_with(title), "{test}: {text}");
    }
}
