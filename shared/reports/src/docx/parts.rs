//! The parts of the zip that hold no rows: what it is, how it looks, and the footer.

use chrono::SecondsFormat;

use super::xml::escaped;
use crate::report::Report;

macro_rules! xml {
    ($($part:literal),* $(,)?) => {
        concat!("<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n", $($part),*)
    };
}

const MAIN: &str = "http://schemas.openxmlformats.org/wordprocessingml/2006/main";

pub(super) const DOCUMENT_START: &str = xml!(
    "<w:document xmlns:w=\"http://schemas.openxmlformats.org/wordprocessingml/2006/main\" ",
    "xmlns:r=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships\"><w:body>"
);
/// US Letter, with the footer on every page.
pub(super) const DOCUMENT_END: &str = "<w:sectPr><w:footerReference w:type=\"default\" r:id=\"rId2\"/>\
     <w:pgSz w:w=\"12240\" w:h=\"15840\"/>\
     <w:pgMar w:top=\"720\" w:right=\"720\" w:bottom=\"900\" w:left=\"720\" w:header=\"480\" w:footer=\"480\" w:gutter=\"0\"/>\
     </w:sectPr></w:body></w:document>";

/// Name and body of each, what the others refer to first.
pub(super) fn fixed(report: &Report) -> Vec<(&'static str, String)> {
    vec![
        ("[Content_Types].xml", CONTENT_TYPES.to_owned()),
        ("_rels/.rels", RELATIONSHIPS.to_owned()),
        ("docProps/core.xml", properties(report)),
        ("word/_rels/document.xml.rels", DOCUMENT_RELATIONSHIPS.to_owned()),
        ("word/styles.xml", styles()),
        ("word/footer1.xml", footer(report)),
    ]
}

const CONTENT_TYPES: &str = xml!(
    "<Types xmlns=\"http://schemas.openxmlformats.org/package/2006/content-types\">",
    "<Default Extension=\"rels\" ContentType=\"application/vnd.openxmlformats-package.relationships+xml\"/>",
    "<Default Extension=\"xml\" ContentType=\"application/xml\"/>",
    "<Override PartName=\"/word/document.xml\" ContentType=\"application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml\"/>",
    "<Override PartName=\"/word/styles.xml\" ContentType=\"application/vnd.openxmlformats-officedocument.wordprocessingml.styles+xml\"/>",
    "<Override PartName=\"/word/footer1.xml\" ContentType=\"application/vnd.openxmlformats-officedocument.wordprocessingml.footer+xml\"/>",
    "<Override PartName=\"/docProps/core.xml\" ContentType=\"application/vnd.openxmlformats-package.core-properties+xml\"/>",
    "</Types>"
);

const RELATIONSHIPS: &str = xml!(
    "<Relationships xmlns=\"http://schemas.openxmlformats.org/package/2006/relationships\">",
    "<Relationship Id=\"rId1\" Type=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument\" Target=\"word/document.xml\"/>",
    "<Relationship Id=\"rId2\" Type=\"http://schemas.openxmlformats.org/package/2006/relationships/metadata/core-properties\" Target=\"docProps/core.xml\"/>",
    "</Relationships>"
);

const DOCUMENT_RELATIONSHIPS: &str = xml!(
    "<Relationships xmlns=\"http://schemas.openxmlformats.org/package/2006/relationships\">",
    "<Relationship Id=\"rId1\" Type=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships/styles\" Target=\"styles.xml\"/>",
    "<Relationship Id=\"rId2\" Type=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships/footer\" Target=\"footer1.xml\"/>",
    "</Relationships>"
);

fn properties(report: &Report) -> String {
    let dated = report.ended_at.or(report.as_of).unwrap_or(report.created_at);
    let dated = dated.to_rfc3339_opts(SecondsFormat::Secs, true);
    format!(
        "{}<dc:title>{}: {}</dc:title><dc:creator>Tocsin</dc:creator>\
         <dcterms:created xsi:type=\"dcterms:W3CDTF\">{dated}</dcterms:created></cp:coreProperties>",
        xml!(
            "<cp:coreProperties xmlns:cp=\"http://schemas.openxmlformats.org/package/2006/metadata/core-properties\" ",
            "xmlns:dc=\"http://purl.org/dc/elements/1.1/\" xmlns:dcterms=\"http://purl.org/dc/terms/\" ",
            "xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\">"
        ),
        report.title(),
        escaped(&report.subject)
    )
}

fn footer(report: &Report) -> String {
    let field = |instruction: &str| {
        format!("<w:fldSimple w:instr=\" {instruction} \"><w:r><w:t>1</w:t></w:r></w:fldSimple>")
    };
    let run = |text: &str| format!("<w:r><w:t xml:space=\"preserve\">{text}</w:t></w:r>");
    format!(
        "{}<w:ftr xmlns:w=\"{MAIN}\"><w:p><w:pPr><w:pStyle w:val=\"Footer\"/></w:pPr>{}<w:r><w:tab/></w:r>{}{}{}{}</w:p></w:ftr>",
        xml!(),
        run(&escaped(&format!("{} · Message {}", report.district, report.number))),
        run("Page "),
        field("PAGE"),
        run(" of "),
        field("NUMPAGES"),
    )
}

/// Paragraph styles: name, what it is based on, paragraph and run properties. Sizes are in half points, spaces in
/// twentieths of a point. Their elements stand in the order that the schema wants.
const PARAGRAPHS: [(&str, &str, &str, &str); 13] = [
    (
        "Subtitle",
        "Normal",
        "<w:spacing w:before=\"0\" w:after=\"40\"/>",
        "<w:b/><w:color w:val=\"606060\"/><w:sz w:val=\"18\"/>",
    ),
    (
        "Title",
        "Normal",
        "<w:pBdr><w:bottom w:val=\"single\" w:sz=\"8\" w:space=\"4\" w:color=\"000000\"/></w:pBdr><w:spacing w:before=\"0\" w:after=\"120\"/>",
        "<w:b/><w:sz w:val=\"32\"/>",
    ),
    (
        "Heading1",
        "Normal",
        "<w:keepNext/><w:pBdr><w:bottom w:val=\"single\" w:sz=\"4\" w:space=\"2\" w:color=\"B0B0B0\"/></w:pBdr><w:spacing w:before=\"240\" w:after=\"80\"/><w:outlineLvl w:val=\"0\"/>",
        "<w:b/><w:sz w:val=\"22\"/>",
    ),
    (
        "Heading2",
        "Normal",
        "<w:keepNext/><w:spacing w:before=\"120\" w:after=\"40\"/><w:outlineLvl w:val=\"1\"/>",
        "<w:b/><w:color w:val=\"404040\"/><w:sz w:val=\"18\"/>",
    ),
    (
        "Note",
        "Normal",
        "<w:spacing w:before=\"0\" w:after=\"60\"/>",
        "<w:color w:val=\"606060\"/><w:sz w:val=\"15\"/>",
    ),
    (
        "Gap",
        "Normal",
        "<w:spacing w:before=\"0\" w:after=\"0\" w:line=\"120\" w:lineRule=\"exact\"/>",
        "<w:sz w:val=\"8\"/>",
    ),
    (
        "FactName",
        "Normal",
        "<w:spacing w:before=\"10\" w:after=\"10\"/>",
        "<w:color w:val=\"606060\"/><w:sz w:val=\"17\"/>",
    ),
    ("FactValue", "Normal", "<w:spacing w:before=\"10\" w:after=\"10\"/>", "<w:sz w:val=\"17\"/>"),
    ("Cell", "Normal", "<w:spacing w:before=\"30\" w:after=\"30\"/>", "<w:sz w:val=\"16\"/>"),
    ("HeadCell", "Cell", "<w:keepNext/>", "<w:b/><w:color w:val=\"404040\"/>"),
    ("NumberCell", "Cell", "<w:jc w:val=\"right\"/>", ""),
    ("HeadNumber", "HeadCell", "<w:jc w:val=\"right\"/>", ""),
    (
        "Footer",
        "Normal",
        "<w:tabs><w:tab w:val=\"right\" w:pos=\"10800\"/></w:tabs><w:spacing w:before=\"0\" w:after=\"0\"/>",
        "<w:color w:val=\"606060\"/><w:sz w:val=\"15\"/>",
    ),
];

fn styles() -> String {
    let paragraphs: String = PARAGRAPHS
        .iter()
        .map(|(name, based_on, paragraph, run)| {
            format!(
                "<w:style w:type=\"paragraph\" w:styleId=\"{name}\"><w:name w:val=\"{}\"/>\
                 <w:basedOn w:val=\"{based_on}\"/><w:qFormat/><w:pPr>{paragraph}</w:pPr><w:rPr>{run}</w:rPr></w:style>",
                known_name(name)
            )
        })
        .collect();
    format!(
        "{}<w:styles xmlns:w=\"{MAIN}\"><w:docDefaults><w:rPrDefault><w:rPr>\
         <w:rFonts w:ascii=\"Calibri\" w:eastAsia=\"Calibri\" w:hAnsi=\"Calibri\" w:cs=\"Calibri\"/>\
         <w:sz w:val=\"18\"/><w:szCs w:val=\"18\"/><w:lang w:val=\"en-US\"/></w:rPr></w:rPrDefault>\
         <w:pPrDefault/></w:docDefaults>\
         <w:style w:type=\"paragraph\" w:default=\"1\" w:styleId=\"Normal\"><w:name w:val=\"Normal\"/><w:qFormat/>\
         <w:pPr><w:spacing w:before=\"0\" w:after=\"60\"/></w:pPr></w:style>{paragraphs}{TABLES}</w:styles>",
        xml!()
    )
}

/// The names of styles that programs know are written otherwise than their ids.
fn known_name(id: &'static str) -> &'static str {
    match id {
        "Heading1" => "heading 1",
        "Heading2" => "heading 2",
        "Footer" => "footer",
        other => other,
    }
}

const TABLES: &str = "<w:style w:type=\"table\" w:default=\"1\" w:styleId=\"TableNormal\"><w:name w:val=\"Normal Table\"/>\
     <w:tblPr><w:tblInd w:w=\"0\" w:type=\"dxa\"/><w:tblCellMar><w:top w:w=\"0\" w:type=\"dxa\"/><w:left w:w=\"0\" w:type=\"dxa\"/>\
     <w:bottom w:w=\"0\" w:type=\"dxa\"/><w:right w:w=\"108\" w:type=\"dxa\"/></w:tblCellMar></w:tblPr></w:style>\
     <w:style w:type=\"table\" w:styleId=\"Plain\"><w:name w:val=\"Plain\"/><w:basedOn w:val=\"TableNormal\"/></w:style>\
     <w:style w:type=\"table\" w:styleId=\"Lined\"><w:name w:val=\"Lined\"/><w:basedOn w:val=\"TableNormal\"/>\
     <w:tblPr><w:tblBorders><w:top w:val=\"single\" w:sz=\"4\" w:space=\"0\" w:color=\"808080\"/>\
     <w:bottom w:val=\"single\" w:sz=\"4\" w:space=\"0\" w:color=\"D8D8D8\"/>\
     <w:insideH w:val=\"single\" w:sz=\"4\" w:space=\"0\" w:color=\"D8D8D8\"/></w:tblBorders></w:tblPr></w:style>";
