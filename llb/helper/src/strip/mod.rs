//! Taking debug information out of programs and libraries, as `strip --strip-debug` of binutils does.
//!
//! What a program or library is in memory stays what it was: segments keep their content, their addresses and their order,
//! and symbols stay. Sections that only debuggers read go, and what comes after them in the file moves up.
//!
//! The same file gives the same bytes. A file that is something else, or is laid out in a way that is not understood
//! completely, is left as it is: one for another kind of machine, an object file, an archive of them, one that is cut off,
//! one with data appended to it.

mod elf;
mod layout;

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use elf::{
    ABSOLUTE, ALLOCATED, Elf, GROUP, INFO_LINK, LOAD, RELOCATIONS, RESERVED, SYMBOL,
    SYMBOL_SECTION, SYMBOL_SECTIONS, half,
};
use layout::{Layout, Numbers};

/// How the names of debug sections start, as in binutils 2.40 (`_bfd_elf_make_section_from_shdr` in `bfd/elf.c`).
const DEBUG: [&[u8]; 7] = [
    b".debug",
    b".zdebug",
    b".gnu.debuglto_.debug_",
    b".gnu.linkonce.wi.",
    b".line",
    b".stab",
    b".gdb_index",
];
/// Bytes that are copied at once; a multiple of a symbol's size.
const BUFFER: usize = SYMBOL << 13;

/// Takes debug sections out of a file, which is open for reading and writing. Gives whether it was changed.
///
/// # Errors
///
/// What the system says. The file may have been changed in part then.
pub fn strip_debug(file: &File) -> io::Result<bool> {
    let Some(elf) = Elf::read(file)? else {
        return Ok(false);
    };
    let Some(numbers) = without_debug(&elf) else {
        return Ok(false);
    };
    let Some(layout) = Layout::new(&elf, &numbers) else {
        return Ok(false);
    };
    let Some(tables) = Tables::new(&elf, &numbers, &layout) else {
        return Ok(false);
    };
    if !is_padding(file, layout.known, elf.length)? {
        return Ok(false);
    }
    pack(file, &layout)?;
    tables.write(file)?;
    for section in elf.sections.iter().filter(|section| section.has_symbols()) {
        renumber(file, layout.moved(section.offset), section.size, &numbers)?;
    }
    Ok(true)
}

/// Whether there are only a few zeros at the end of a file, as patchelf leaves one there. Data that no table tells of, such
/// as a signature, would be lost.
fn is_padding(file: &File, start: u64, end: u64) -> io::Result<bool> {
    let length = usize::try_from(end - start).unwrap_or(usize::MAX);
    if length > BUFFER {
        return Ok(false);
    }
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, start)?;
    Ok(bytes.iter().all(|byte| *byte == 0))
}

/// The new numbers of the sections that stay; nothing if all do.
fn without_debug(elf: &Elf) -> Option<Numbers> {
    let mut gone: Vec<bool> = elf
        .sections
        .iter()
        .map(|section| {
            let name = elf.name(section).unwrap_or_default();
            section.flags & ALLOCATED == 0 && DEBUG.iter().any(|start| name.starts_with(start))
        })
        .collect();
    let is_odd = elf.sections.iter().any(|section| {
        section.kind == GROUP || section.kind == SYMBOL_SECTIONS || section.is_broken()
    });
    if is_odd || gone[elf.names_section()] || !gone.contains(&true) {
        return None;
    }
    for (index, section) in elf.sections.iter().enumerate() {
        let about = usize::try_from(section.info).ok()?;
        if section.flags & ALLOCATED == 0 && RELOCATIONS.contains(&section.kind) {
            gone[index] |= gone.get(about).copied().unwrap_or(true);
        }
    }
    let mut next = 0;
    let numbers = gone.iter().map(|gone| {
        let number = next;
        next += u16::from(!gone);
        (!gone).then_some(number)
    });
    Some(numbers.collect())
}

/// The header and the tables of a file, ready to be written.
struct Tables {
    /// With their places.
    parts: [(u64, Vec<u8>); 3],
}

impl Tables {
    /// Nothing if the file would not be what it was.
    fn new(elf: &Elf, numbers: &Numbers, layout: &Layout) -> Option<Self> {
        let number = |old: usize| numbers.get(old).copied().flatten();
        let mut segments = Vec::new();
        for segment in &elf.segments {
            let mut segment = segment.clone();
            if segment.size > 0 {
                segment.offset = layout.moved(segment.offset);
            } else if segment.kind == LOAD && segment.offset >= layout.length() {
                // Loaders map the page that the place is in, even for memory that starts empty.
                segment.offset = segment.address % segment.alignment.max(1);
                if segment.offset >= layout.length() {
                    return None;
                }
            }
            segment.write(&mut segments);
        }
        let mut sections = Vec::new();
        for (section, kept) in elf.sections.iter().zip(numbers) {
            if kept.is_none() {
                continue;
            }
            let mut section = section.clone();
            section.offset = layout.moved(section.offset);
            let link = usize::try_from(section.link).ok()?;
            section.link = number(link).unwrap_or(0).into();
            if RELOCATIONS.contains(&section.kind) || section.flags & INFO_LINK != 0 {
                section.info = number(usize::try_from(section.info).ok()?)?.into();
            }
            section.write(&mut sections);
        }
        let count = u16::try_from(numbers.iter().flatten().count()).ok()?;
        let segments_offset = layout.moved(elf.segments_offset());
        let sections_offset = layout.moved(elf.sections_offset());
        let names = number(elf.names_section())?;
        let header = elf.header(segments_offset, sections_offset, count, names);
        Some(Self {
            parts: [
                (0, header.to_vec()),
                (segments_offset, segments),
                (sections_offset, sections),
            ],
        })
    }

    fn write(&self, file: &File) -> io::Result<()> {
        let mut parts = self.parts.iter();
        parts.try_for_each(|(offset, bytes)| file.write_all_at(bytes, *offset))
    }
}

/// Moves the parts of a file to their places, with zeros between them. None moves away from the start.
fn pack(file: &File, layout: &Layout) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    let mut free = 0;
    for part in &layout.parts {
        let zeros = vec![0; usize::try_from(part.moved - free).unwrap_or_default()];
        file.write_all_at(&zeros, free)?;
        free = part.moved + (part.end - part.start);
        if part.moved != part.start {
            in_pieces(&mut buffer, part.end - part.start, |piece, done| {
                file.read_exact_at(piece, part.start + done)?;
                file.write_all_at(piece, part.moved + done)
            })?;
        }
    }
    file.set_len(free)
}

/// Gives symbols the new numbers of their sections. Those of sections that are gone have no section any more.
fn renumber(file: &File, offset: u64, size: u64, numbers: &Numbers) -> io::Result<()> {
    in_pieces(&mut vec![0; BUFFER], size, |piece, done| {
        file.read_exact_at(piece, offset + done)?;
        let mut changed = false;
        for symbol in piece.chunks_exact_mut(SYMBOL) {
            let old = half(symbol, SYMBOL_SECTION);
            let known = numbers.get(usize::from(old)).filter(|_| old < RESERVED);
            let new = known.map_or(old, |number| number.unwrap_or(ABSOLUTE));
            symbol[SYMBOL_SECTION..SYMBOL_SECTION + 2].copy_from_slice(&new.to_le_bytes());
            changed |= new != old;
        }
        if changed {
            file.write_all_at(piece, offset + done)?;
        }
        Ok(())
    })
}

/// Calls for each piece of a size, with what has been before.
fn in_pieces(
    buffer: &mut [u8],
    size: u64,
    mut each: impl FnMut(&mut [u8], u64) -> io::Result<()>,
) -> io::Result<()> {
    let mut done = 0;
    while done < size {
        let left = usize::try_from(size - done).unwrap_or(usize::MAX);
        let length = left.min(buffer.len());
        each(&mut buffer[..length], done)?;
        done += length as u64;
    }
    Ok(())
}
