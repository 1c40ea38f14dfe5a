//! The fonts that go along: DejaVu Sans Condensed, of which a file holds the glyphs that it uses.

use std::collections::BTreeMap;
use std::io::{self, Write};

use pdf_writer::types::{CidFontType, FontFlags, SystemInfo, UnicodeCmap};
use pdf_writer::{Filter, Finish as _, Name, Rect, Ref, Str};
use rustybuzz::Face;
use rustybuzz::ttf_parser::GlyphId;
use subsetter::GlyphRemapper;

use super::file::File;
use super::page::deflated;
use super::shape::Glyph;

const REGULAR: &[u8] = include_bytes!("../../fonts/DejaVuSansCondensed.ttf");
const BOLD: &[u8] = include_bytes!("../../fonts/DejaVuSansCondensed-Bold.ttf");

/// Stands for what the fonts do not have, which is shown and not left out.
pub(super) const REPLACEMENT: char = '\u{fffd}';

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weight {
    Regular,
    Bold,
}

pub(super) struct Font {
    data: &'static [u8],
    face: Face<'static>,
    /// Numbers the glyphs of the embedded font in the order in which they are first used.
    used: GlyphRemapper,
    /// By letter of the Basic Multilingual Plane: the glyph, once it was used.
    letters: Vec<Option<Glyph>>,
    /// What each embedded glyph says, for those who search and copy.
    meanings: BTreeMap<u16, String>,
    /// By number in the embedded font.
    widths: Vec<f32>,
}

impl Weight {
    /// What pages call the font.
    pub fn resource(self) -> Name<'static> {
        match self {
            Self::Regular => Name(b"R"),
            Self::Bold => Name(b"B"),
        }
    }

    /// The tag says that this is a part of the font.
    fn base_font(self) -> Name<'static> {
        match self {
            Self::Regular => Name(b"TOCSIN+DejaVuSansCondensed"),
            Self::Bold => Name(b"TOCSIN+DejaVuSansCondensed-Bold"),
        }
    }
}

impl Font {
    pub fn new(weight: Weight) -> io::Result<Self> {
        let data = match weight {
            Weight::Regular => REGULAR,
            Weight::Bold => BOLD,
        };
        let face = Face::from_slice(data, 0).ok_or_else(|| io::Error::other("the font cannot be read"))?;
        let mut font = Self {
            data,
            face,
            used: GlyphRemapper::new(),
            letters: vec![None; 0x1_0000],
            meanings: BTreeMap::new(),
            widths: Vec::new(),
        };
        // The first one of every font, which stands for no letter.
        font.embed(0, "");
        Ok(font)
    }

    /// One letter by itself.
    pub fn letter(&mut self, letter: char) -> Glyph {
        let slot = letter as usize;
        if let Some(Some(known)) = self.letters.get(slot) {
            return *known;
        }
        let found = self.face.glyph_index(letter);
        let glyph = match found {
            None if letter != REPLACEMENT => self.letter(REPLACEMENT),
            found => {
                let found = found.unwrap_or(GlyphId(0));
                let advance = self.face.glyph_hor_advance(found).unwrap_or_default();
                let id = self.embed(found.0, letter.encode_utf8(&mut [0; 4]));
                Glyph { id, advance: self.thousandths(i32::from(advance)), shift: (0.0, 0.0) }
            }
        };
        if let Some(place) = self.letters.get_mut(slot) {
            *place = Some(glyph);
        }
        glyph
    }

    pub fn shaper(&self) -> &Face<'static> {
        &self.face
    }

    /// The number in the embedded font of a glyph of the whole one.
    pub fn embed(&mut self, glyph: u16, meaning: &str) -> u16 {
        let id = self.used.remap(glyph);
        if usize::from(id) >= self.widths.len() {
            let advance = self.face.glyph_hor_advance(GlyphId(glyph)).unwrap_or_default();
            let width = self.thousandths(i32::from(advance));
            self.widths.push(width);
        }
        if !meaning.is_empty() {
            self.meanings.entry(id).or_insert_with(|| meaning.to_owned());
        }
        id
    }

    /// Of the font's units as thousandths of its size.
    pub fn thousandths(&self, units: i32) -> f32 {
        units as f32 * 1000.0 / self.face.units_per_em() as f32
    }

    /// Writes the font under `id`.
    pub fn write<W: Write>(&self, weight: Weight, id: Ref, file: &mut File<W>) -> io::Result<()> {
        let system = SystemInfo { registry: Str(b"Adobe"), ordering: Str(b"Identity"), supplement: 0 };
        let (descendant, descriptor, data, cmap) =
            (file.number(), file.number(), file.number(), file.number());
        file.put(id, |chunk| {
            let mut font = chunk.type0_font(id);
            font.base_font(weight.base_font()).encoding_predefined(Name(b"Identity-H"));
            font.descendant_font(descendant).to_unicode(cmap);
        })?;
        file.put(descendant, |chunk| {
            let mut font = chunk.cid_font(descendant);
            font.subtype(CidFontType::Type2).base_font(weight.base_font()).system_info(system);
            font.font_descriptor(descriptor).default_width(0.0);
            font.cid_to_gid_map_predefined(Name(b"Identity"));
            font.widths().consecutive(0, self.widths.iter().copied());
        })?;
        file.put(descriptor, |chunk| {
            let face = &self.face;
            let bounds = face.global_bounding_box();
            let of = |units: i16| self.thousandths(i32::from(units));
            let mut font = chunk.font_descriptor(descriptor);
            font.name(weight.base_font()).flags(FontFlags::SYMBOLIC).italic_angle(0.0);
            font.bbox(Rect::new(of(bounds.x_min), of(bounds.y_min), of(bounds.x_max), of(bounds.y_max)));
            font.ascent(of(face.ascender())).descent(of(face.descender()));
            font.cap_height(of(face.capital_height().unwrap_or_else(|| face.ascender())));
            font.stem_v(if weight == Weight::Bold { 140.0 } else { 80.0 }).font_file2(data);
        })?;
        let subset = subsetter::subset(self.data, 0, &self.used).map_err(io::Error::other)?;
        let packed = deflated(&subset);
        file.put(data, |chunk| {
            let mut stream = chunk.stream(data, &packed);
            stream.filter(Filter::FlateDecode);
            stream.pair(Name(b"Length1"), i32::try_from(subset.len()).unwrap_or(i32::MAX));
        })?;
        let mut meanings = UnicodeCmap::new(Name(b"Tocsin-UCS"), system);
        for (id, meaning) in &self.meanings {
            meanings.pair_with_multiple(*id, meaning.chars());
        }
        let packed = deflated(&meanings.finish());
        file.put(cmap, |chunk| chunk.stream(cmap, &packed).filter(Filter::FlateDecode).finish())
    }
}
