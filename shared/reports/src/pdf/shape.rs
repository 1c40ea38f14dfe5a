//! Text as glyphs. Most texts are one glyph a letter from left to right; the others are shaped.

use rustybuzz::{Direction, UnicodeBuffer};
use unicode_bidi::{BidiInfo, Level};
use unicode_normalization::{IsNormalized, UnicodeNormalization as _, is_nfc_quick};

use super::font::{Font, REPLACEMENT};

/// A glyph of the embedded font and where it stands, in thousandths of the font's size.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Glyph {
    /// Its number in the embedded font.
    pub id: u16,
    /// How far it moves the next one.
    pub advance: f32,
    /// How far it stands right of, and above, its place.
    pub shift: (f32, f32),
}

/// One line's glyphs, from left to right.
#[derive(Debug, Clone, Default)]
pub(super) struct Run {
    pub glyphs: Vec<Glyph>,
    pub width: f32,
    /// Does each glyph stand where its shaping put it, and not behind the one before by that one's own width?
    pub placed: bool,
}

/// Sets `text`, which holds no line break. What the font lacks is set as the sign for that.
pub(super) fn run(font: &mut Font, text: &str) -> Run {
    // Composed, most letters with marks are one glyph each.
    let composed: String;
    let text = match is_nfc_quick(text.chars()) {
        IsNormalized::Yes => text,
        IsNormalized::No | IsNormalized::Maybe => {
            composed = text.nfc().collect();
            &composed
        }
    };
    let mut run = Run { glyphs: Vec::with_capacity(text.len()), ..Run::default() };
    if text.chars().any(needs_shaping) {
        run.placed = true;
        shaped(font, text, &mut run);
    } else {
        text.chars().filter_map(shown).for_each(|letter| run.push(font.letter(letter)));
    }
    run
}

impl Run {
    fn push(&mut self, glyph: Glyph) {
        self.width += glyph.advance;
        self.glyphs.push(glyph);
    }
}

/// Scripts whose letters join or change order, and marks that are set over others.
fn needs_shaping(letter: char) -> bool {
    matches!(letter,
        '\u{300}'..='\u{36f}' | '\u{590}'..='\u{8ff}' | '\u{e80}'..='\u{eff}' | '\u{1dc0}'..='\u{1dff}'
        | '\u{20d0}'..='\u{20ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{fefe}')
}

/// What stands for a character; None: it is not seen.
fn shown(letter: char) -> Option<char> {
    match letter {
        '\t' | '\n' | '\r' | '\u{a0}' | '\u{2028}' | '\u{2029}' => Some(' '),
        // Joiners, directions, variation selectors, soft hyphens, byte order marks.
        '\u{ad}'
        | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{2064}'
        | '\u{2066}'..='\u{2069}'
        | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}' => None,
        control if control.is_control() => Some(REPLACEMENT),
        other => Some(other),
    }
}

fn shaped(font: &mut Font, text: &str, run: &mut Run) {
    let bidi = BidiInfo::new(text, None);
    for paragraph in &bidi.paragraphs {
        let (levels, ranges) = bidi.visual_runs(paragraph, paragraph.range.clone());
        for range in ranges {
            let level = levels.get(range.start).copied().unwrap_or_else(Level::ltr);
            one_direction(font, &text[range], level, run);
        }
    }
}

fn one_direction(font: &mut Font, text: &str, level: Level, run: &mut Run) {
    let mut buffer = UnicodeBuffer::new();
    let shown: String = text.chars().map(|letter| shown(letter).unwrap_or(letter)).collect();
    buffer.push_str(&shown);
    buffer.guess_segment_properties();
    buffer.set_direction(if level.is_rtl() { Direction::RightToLeft } else { Direction::LeftToRight });
    let set = rustybuzz::shape(font.shaper(), &[], buffer);
    let clusters: Vec<usize> = set.glyph_infos().iter().map(|info| info.cluster as usize).collect();
    for (at, (info, place)) in set.glyph_infos().iter().zip(set.glyph_positions()).enumerate() {
        let start = clusters[at];
        // The first glyph of a cluster stands for all of its text.
        let first = at == 0 || clusters[at - 1] != start;
        let end = clusters.iter().copied().filter(|other| *other > start).min().unwrap_or(shown.len());
        let meaning = if first { shown.get(start..end).unwrap_or_default() } else { "" };
        let Ok(id) = u16::try_from(info.glyph_id) else { continue };
        if id == 0 {
            let unseen = meaning.chars().all(|letter| self::shown(letter).is_none());
            if !unseen {
                run.push(font.letter(REPLACEMENT));
            }
            continue;
        }
        run.push(Glyph {
            id: font.embed(id, meaning),
            advance: font.thousandths(place.x_advance),
            shift: (font.thousandths(place.x_offset), font.thousandths(place.y_offset)),
        });
    }
}
