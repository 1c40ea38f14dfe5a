//! Reports as their readers have them.

mod csv;
mod docx;
mod papers;
mod pdf;
mod same;
mod sample;
