//! Source files and places in them, from their wire form.

use super::fields::{Malformed, Part};
use super::{Fault, definition};
use crate::definition::SourceInfo;
use crate::sourcemap::Range;

/// Reads `pb.SourceInfo`; `depth` is that of the definition it is in.
pub(super) fn info(message: Part<'_>, depth: usize) -> Result<SourceInfo, Fault> {
    let mut info = SourceInfo {
        filename: String::new(),
        language: String::new(),
        data: Vec::new(),
        definition: None,
    };
    let mut fields = message.fields();
    while let Some((number, value)) = fields.next()? {
        match number {
            1 => value.text(number, message)?.clone_into(&mut info.filename),
            2 => value
                .part(number, message)?
                .bytes
                .clone_into(&mut info.data),
            3 => {
                let read = definition(value.part(number, message)?, depth + 1)?;
                info.definition = Some(Box::new(read));
            }
            4 => value.text(number, message)?.clone_into(&mut info.language),
            _ => {}
        }
    }
    Ok(info)
}

/// Reads `pb.Locations`: for each place the number of its file, as it stands there, and the ranges.
pub(super) fn locations(message: Part<'_>) -> Result<Vec<(i32, Vec<Range>)>, Malformed> {
    let mut locations = Vec::new();
    let mut fields = message.fields();
    while let Some((number, value)) = fields.next()? {
        if number == 1 {
            locations.push(location(value.part(number, message)?)?);
        }
    }
    Ok(locations)
}

fn location(message: Part<'_>) -> Result<(i32, Vec<Range>), Malformed> {
    let (mut info, mut ranges) = (0, Vec::new());
    let mut fields = message.fields();
    while let Some((number, value)) = fields.next()? {
        match number {
            1 => info = int32(value.integer(number, message)?),
            2 => ranges.push(range(value.part(number, message)?)?),
            _ => {}
        }
    }
    Ok((info, ranges))
}

fn range(message: Part<'_>) -> Result<Range, Malformed> {
    let mut range = Range::default();
    let mut fields = message.fields();
    while let Some((number, value)) = fields.next()? {
        let end = match number {
            1 => &mut range.start,
            2 => &mut range.end,
            _ => continue,
        };
        let message = value.part(number, message)?;
        let end = end.get_or_insert_default();
        let mut fields = message.fields();
        while let Some((number, value)) = fields.next()? {
            match number {
                1 => end.line = int32(value.integer(number, message)?),
                2 => end.character = int32(value.integer(number, message)?),
                _ => {}
            }
        }
    }
    Ok(range)
}

/// An `int32` is written as 64 bits, of which the lower ones count.
fn int32(value: u64) -> i32 {
    let low = u32::try_from(value & u64::from(u32::MAX)).unwrap_or_default();
    low.cast_signed()
}
