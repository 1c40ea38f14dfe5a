//! The file as a list of objects: each leaves when it is made, and where it lies is noted for the end.

use std::io::{self, Write};

use pdf_writer::writers::{Catalog, DocumentInfo};
use pdf_writer::{Chunk, Ref};

/// The second line tells programs that the file is binary.
const HEADER: &[u8] = b"%PDF-1.7\n%\xE2\xE3\xCF\xD3\n";

pub(super) struct File<W> {
    sink: W,
    written: u64,
    /// Of each object, by its number from 1.
    offsets: Vec<u64>,
}

impl<W: Write> File<W> {
    pub fn new(sink: W) -> io::Result<Self> {
        let mut file = Self { sink, written: 0, offsets: Vec::new() };
        file.write(HEADER)?;
        Ok(file)
    }

    /// A number for an object that is to come.
    pub fn number(&mut self) -> Ref {
        self.offsets.push(0);
        // Bounded by the pages of one report.
        Ref::new(i32::try_from(self.offsets.len()).unwrap_or(i32::MAX))
    }

    /// Writes the one object of that number.
    pub fn put(&mut self, id: Ref, make: impl FnOnce(&mut Chunk)) -> io::Result<()> {
        let mut chunk = Chunk::new();
        make(&mut chunk);
        if let Some(offset) = usize::try_from(id.get()).ok().and_then(|at| self.offsets.get_mut(at - 1)) {
            *offset = self.written;
        }
        self.write(chunk.as_bytes())
    }

    /// Writes the catalog, the document's information, and the table of where everything lies.
    pub fn end(
        &mut self,
        catalog: impl FnOnce(Catalog<'_>),
        information: impl FnOnce(DocumentInfo<'_>),
    ) -> io::Result<()> {
        let (root, info) = (self.number(), self.number());
        self.put(root, |chunk| catalog(chunk.indirect(root).start::<Catalog<'_>>()))?;
        self.put(info, |chunk| information(chunk.indirect(info).start::<DocumentInfo<'_>>()))?;
        let (start, size) = (self.written, self.offsets.len() + 1);
        let mut table = format!("xref\n0 {size}\n0000000000 65535 f\r\n");
        for offset in &self.offsets {
            table.push_str(&format!("{offset:010} 00000 n\r\n"));
        }
        table.push_str(&format!(
            "trailer\n<< /Size {size} /Root {} 0 R /Info {} 0 R >>\nstartxref\n{start}\n%%EOF\n",
            root.get(),
            info.get()
        ));
        self.write(table.as_bytes())?;
        self.sink.flush()
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.written += bytes.len() as u64;
        self.sink.write_all(bytes)
    }
}
